"""A load generator in a process of its own: `python load_generator.py`, its order as JSON on stdin.

Standard library only. Each connection sends its next request when the answer has come.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from statistics import median


async def _connection(order: dict, request: bytes, until: float, found: list[float]) -> None:
    reader, writer = await asyncio.open_connection(order["host"], order["port"])
    try:
        while (began := time.perf_counter()) < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:16]:
                raise SystemExit(f"got {head[:200]!r}")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            found.append(time.perf_counter() - began)
    finally:
        writer.close()


async def _main(order: dict) -> dict:
    request = base64.b64decode(order["request"])
    warm: list[float] = []
    await _connection(order, request, time.perf_counter() + 0.3, warm)
    found: list[float] = []
    began = time.perf_counter()
    until = began + order["seconds"]
    connections = range(order["connections"])
    await asyncio.gather(*(_connection(order, request, until, found) for _ in connections))
    return {
        "per_second": len(found) / (time.perf_counter() - began),
        "p50_ms": 1e3 * median(found),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_main(json.load(sys.stdin)))))
