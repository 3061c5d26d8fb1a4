"""mosec with batching: its server is a compiled program beside one Python worker."""

import os
import sys
from typing import Any

import mosec
from session import answer, session_of

MODEL, PORT = sys.argv[1:3] if len(sys.argv) == 3 else ("", "")


class Inference(mosec.Worker):
    """One row a request."""

    def __init__(self) -> None:
        super().__init__()
        self.session = session_of(os.environ["PEER_MODEL"])

    def forward(self, data: list[Any]) -> list[Any]:
        """Answers a batch of requests."""
        outputs = answer(self.session, [row for item in data for row in item["inputs"]])
        return [{"outputs": [output.tolist()]} for output in outputs]


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "--address", "127.0.0.1", "--port", PORT, "--log-level", "error"]
    server = mosec.Server()
    server.append_worker(
        Inference, num=1, max_batch_size=64, max_wait_time=1, env=[{"PEER_MODEL": MODEL}]
    )
    server.run()
