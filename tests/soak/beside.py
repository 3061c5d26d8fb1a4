"""One well-behaved caller beside whatever else happens: each of its answers must come in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput

from tests.unit.serving.harness import Running

MOST_S = 1.0
_PAUSE_S = 0.05
_WAIT_S = 20.0
_SAMPLE = np.zeros((1, 1, 8, 8), np.float32)


@dataclass
class Waits:
    """How long the answers took.

    Attributes:
        count: Answers.
        longest_s: The slowest one.
        failed: What was no answer, in words.
    """

    count: int = 0
    longest_s: float = 0.0
    failed: list[str] = field(default_factory=list)

    def take(self, ask: Callable[[], None]) -> None:
        """Asks once and notes how long it took."""
        began = time.perf_counter()
        try:
            ask()
            self.count += 1
        except Exception as error:  # noqa: BLE001 (each one is told)
            self.failed.append(f"{type(error).__name__}: {error}"[:200])
        self.longest_s = max(self.longest_s, time.perf_counter() - began)

    @property
    def is_good(self) -> bool:
        """Whether every answer came, and in time."""
        return self.count > 0 and not self.failed and self.longest_s <= MOST_S

    def __str__(self) -> str:
        failed = f", {len(self.failed)} FAILED, first {self.failed[0]}" if self.failed else ""
        return f"{self.count:,} answers, the slowest after {self.longest_s:.3f} s{failed}"


@contextmanager
def beside(found: Running) -> Iterator[dict[str, Waits]]:
    """Asks over HTTP and gRPC for the time of the block."""
    waits = {"HTTP": Waits(), "gRPC": Waits()}
    stop = threading.Event()
    address = f"127.0.0.1:{found.service.grpc_port}"
    headers = {"authorization": f"Bearer {found.token}"}
    given = InferInput("input", _SAMPLE.shape, "FP32")
    given.set_data_from_numpy(_SAMPLE)
    with (
        httpx.Client(base_url=found.url, headers=headers, trust_env=False, timeout=_WAIT_S) as http,
        InferenceServerClient(address) as rpc,
    ):

        def over_http() -> None:
            http.post("/predict/digits", json={"inputs": _SAMPLE.tolist()}).raise_for_status()

        def over_grpc() -> None:
            rpc.infer("digits", [given], headers=headers, client_timeout=_WAIT_S)

        def run() -> None:
            while not stop.wait(_PAUSE_S):
                waits["HTTP"].take(over_http)
                waits["gRPC"].take(over_grpc)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield waits
        finally:
            stop.set()
            thread.join(2 * _WAIT_S)
