"""The client's side of an answer in pieces."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from workbench.core.errors import WorkbenchError, error_from_dict
from workbench.serving.client_tensors import v2_outputs

_DATA, _DONE = b"data: ", b"[DONE]"


class PieceReader(Iterator[dict[str, "NDArray[Any]"]]):
    """The pieces of one answer, each all outputs by name; to be read once.

    Args:
        connection: Its own; closed at the end.
        response: Events; the last says that it is.
        gone: Returns the error for a connection that broke off.

    Raises:
        WorkbenchError: While reading: what the answer was ended by.
    """

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        gone: Callable[[Exception], WorkbenchError],
    ) -> None:
        self._connection, self._response, self._gone = connection, response, gone

    def __next__(self) -> dict[str, NDArray[Any]]:
        if self._response.isclosed():
            raise StopIteration
        data = self._data()
        if data == _DONE:
            self.close()
            raise StopIteration
        if "outputs" not in (told := json.loads(data)):
            self.close()
            raise error_from_dict(told)
        return v2_outputs(data)

    def _data(self) -> bytes:
        """Returns the data of the next event.

        What is cut off must not be taken for the end: `readline` gives nothing in both cases.
        """
        try:
            while line := self._response.readline():
                if line.startswith(_DATA):
                    return line[len(_DATA) :].rstrip()
            raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._gone(error) from error

    def close(self) -> None:
        """Ends the answer: the endpoint stops making pieces."""
        self._response.close()
        self._connection.close()

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> PieceReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
