"""Callers of an endpoint in a process of their own: its order as one line of JSON on stdin.

Each connection is kept and sends its next request when the answer has come; every answer is checked
against what the version that gave it must say. Prints a line for each part of the requests done,
goes on until a second line comes on stdin, and prints what it found.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
import json
import math
import struct
import sys
import threading
import time
from typing import Any

from workbench.serving import event_loop

_SLOWEST = 2000
_STEP_S = 1e-4
_TOLERANCE = 1e-3


class Tally:
    """What came of the requests.

    Args:
        order: "expected" (numbers by version), "step" (requests between two lines).
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self.is_stopping = False
        self.done = 0
        self.errors: list[str] = []
        self.error_count = 0
        self._step = order["step"]
        self._expected = order["expected"]
        self._good: set[bytes] = set()
        self._waits: dict[int, int] = {}
        self._slowest: list[tuple[float, float]] = []

    def answered(self, head: bytes, body: bytes, seconds: float) -> None:
        """Counts an answer."""
        self.done += 1
        bucket = int(seconds / _STEP_S)
        self._waits[bucket] = self._waits.get(bucket, 0) + 1
        push = heapq.heappush if len(self._slowest) < _SLOWEST else heapq.heappushpop
        push(self._slowest, (seconds, time.monotonic()))
        if body not in self._good or b" 200 " not in head[:16]:
            problem = self._problem(head, body)
            if problem:
                self.failed(problem)
            else:
                self._good.add(body)
        if self.done % self._step == 0:
            _tell({"done": self.done})

    def failed(self, problem: str) -> None:
        """Counts an error."""
        self.error_count += 1
        if len(self.errors) < 10:
            self.errors.append(problem)

    def found(self) -> dict[str, Any]:
        """Returns everything, JSON-able; the slowest with the `time.monotonic` of their end."""
        return {
            "done": self.done,
            "error_count": self.error_count,
            "errors": self.errors,
            "p50_s": self._percentile(0.5),
            "p99_s": self._percentile(0.99),
            "slowest": sorted(self._slowest, reverse=True),
        }

    def _percentile(self, share: float) -> float:
        seen, wanted = 0, share * sum(self._waits.values())
        for bucket in sorted(self._waits):
            seen += self._waits[bucket]
            if seen >= wanted:
                return (bucket + 1) * _STEP_S
        return math.nan

    def _problem(self, head: bytes, body: bytes) -> str | None:
        if b" 200 " not in head[:16]:
            return f"{head[:80]!r} {body[:200]!r}"
        size = _header(head, b"inference-header-content-length")
        answer = json.loads(body if size is None else body[: int(size)])
        if size is None:
            numbers = answer["outputs"][0]["data"]
        else:
            numbers = struct.unpack(f"<{(len(body) - int(size)) // 4}f", body[int(size) :])
        wanted = self._expected[answer["model_version"]]
        pairs = list(zip(numbers, wanted, strict=True))
        if any(abs(one - other) > _TOLERANCE * (1 + abs(other)) for one, other in pairs):
            return f"version {answer['model_version']} said {numbers}, not {wanted}"
        return None


class Connection(asyncio.Protocol):
    """One kept connection; opened anew, and counted as an error, when it is lost."""

    def __init__(self, tally: Tally, request: bytes, ended: asyncio.Event) -> None:
        self._tally, self._request, self._ended = tally, request, ended
        self._parts = bytearray()
        self._transport: Any = None
        self._sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._ended.is_set():
            self._tally.failed(f"the connection was lost: {error!r}")
            self._ended.set()

    def data_received(self, data: bytes) -> None:
        self._parts += data
        end = self._parts.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._parts[:end])
        length = int(_header(head, b"content-length") or 0)
        if len(self._parts) < end + 4 + length:
            return
        body = bytes(self._parts[end + 4 : end + 4 + length])
        self._parts.clear()
        self._tally.answered(head, body, time.perf_counter() - self._sent)
        self._send()

    def _send(self) -> None:
        if self._tally.is_stopping:
            self._ended.set()
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def _header(head: bytes, name: bytes) -> bytes | None:
    lower = head.lower()
    begin = lower.find(b"\r\n" + name + b":")
    if begin < 0:
        return None
    return lower[begin + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


def _tell(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def _call(order: dict[str, Any], request: bytes, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    while not tally.is_stopping:
        ended = asyncio.Event()
        try:
            await loop.create_connection(
                lambda ended=ended: Connection(tally, request, ended), order["host"], order["port"]
            )
        except OSError as error:
            tally.failed(f"no connection: {error}")
            await asyncio.sleep(0.01)
            continue
        await ended.wait()


async def _main(order: dict[str, Any]) -> None:
    tally = Tally(order)

    def wait_for_the_end() -> None:
        sys.stdin.readline()
        tally.is_stopping = True

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    requests = [base64.b64decode(text) for text in order["requests"]]
    callers = (requests[i % len(requests)] for i in range(order["connections"]))
    await asyncio.gather(*(_call(order, request, tally) for request in callers))
    _tell(tally.found())


if __name__ == "__main__":
    event_loop.run(_main(json.loads(sys.stdin.readline())))
