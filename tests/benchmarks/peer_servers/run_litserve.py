"""LitServe with batching."""

import sys
from typing import Any

import litserve
from session import answer, session_of


class Api(litserve.LitAPI):
    """One row a request."""

    def setup(self, device: str) -> None:
        """Loads the model."""
        self.session = session_of(sys.argv[1])

    def decode_request(self, request):  # type: ignore[no-untyped-def] # it reads annotations
        """Returns the row."""
        return request["inputs"][0]

    def batch(self, inputs: list[Any]) -> Any:
        """Puts rows together."""
        return inputs

    def predict(self, x: Any) -> Any:
        """Runs the model."""
        return answer(self.session, x)

    def unbatch(self, output: Any) -> list[Any]:
        """Takes rows apart."""
        return list(output)

    def encode_response(self, output: Any) -> Any:
        """Returns the answer."""
        return {"outputs": [output.tolist()]}


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), log_level="error", generate_client_file=False
    )
