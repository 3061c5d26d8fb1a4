"""A typed client for one endpoint: what a person has goes in, predictions come out.

Needs the standard library and NumPy only; one client may be used by several threads.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import InputError, WorkbenchError, error_from_dict
from workbench.core.records import Prediction
from workbench.serving.asker import reason_headers
from workbench.serving.client_stream import PieceReader
from workbench.serving.client_tensors import HEADER_LENGTH, v2_outputs, v2_request
from workbench.serving.errors import BadRequestError, EndpointGoneError
from workbench.serving.values import (
    as_array,
    file_bytes,
    is_array,
    is_frame,
    is_named_row,
    is_picture,
    scalar,
)

_NPY = "application/x-npy"
_JSON = "application/json"
_CHUNK_ROWS = 1024
_MOST_IDLE = 16
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Client:
    """Calls one endpoint.

    Args:
        url: Base URL, as in "http://127.0.0.1:8000".
        token: The clear token.
        model: Name of the model to call; None if the endpoint serves only one.
        timeout_s: Longest wait for one answer.
        certificate: PEM text to trust beside the system's authorities, for https.

    Example:
        >>> client = Client(endpoint.url, endpoint.token)       # doctest: +SKIP
        >>> client.predict(data.test[0].input)[0].label         # doctest: +SKIP
        '7'
    """

    def __init__(
        self,
        url: str,
        token: str,
        model: str | None = None,
        *,
        timeout_s: float = 60.0,
        certificate: str = "",
    ) -> None:
        self.url = url.rstrip("/")
        self.model = model
        self._authorization = {"authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._certificate = certificate
        self._base = urlsplit(self.url)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._about: dict[str, Any] | None = None
        self._tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Client({self.url!r}, model={self.model!r})"

    def predict(self, inputs: Any, *, version: str | None = None) -> list[Prediction]:
        """Returns a prediction for each sample.

        Args:
            inputs: One sample or a batch. Arrays are told apart by rank; a list is always a batch
                (of arrays, file paths, bytes, Pillow images, texts or dicts of columns); a
                DataFrame is a batch of rows; a row of it, or a dict, is one row, or, for a model
                of several inputs, its tensors by name.
            version: A version number or alias served beside the first.

        Raises:
            InputError: The inputs do not fit the model.
            WorkbenchError: Any other refusal of the endpoint.
        """
        path = self._path(version)
        if is_named_row(inputs):
            inputs = dict(inputs.to_dict())
        if is_array(inputs):
            return self._predict_array(path, as_array(inputs))
        if isinstance(inputs, (bytes, bytearray)) or is_picture(inputs):
            return self._post(path, file_bytes(inputs), "application/octet-stream")
        if isinstance(inputs, (str, Path)) and self._takes_files(inputs):
            return self._post(path, file_bytes(inputs), "application/octet-stream")
        if is_frame(inputs):
            inputs = [dict(row) for row in inputs.to_dict("records")]
        if isinstance(inputs, (list, tuple)):
            return self._predict_list(path, list(inputs))
        return self._post_json(path, self._jsonable(inputs))

    def about(self) -> dict[str, Any]:
        """Returns what the endpoint says of the model: task, labels, modality, signature."""
        if self._about is None:
            self._about = self._call("GET", self._path(None))
        return self._about

    def infer(
        self, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None
    ) -> dict[str, NDArray[Any]]:
        """Returns the model's own output tensors for its own input tensors, by V2 in binary.

        Raises:
            InputError: The tensors do not fit the signature.
        """
        headers, sent = v2_request(inputs)
        path = f"{self._v2_path(version)}/infer"
        response, body = self._send("POST", path, sent, headers)
        return v2_outputs(body, response.getheader(HEADER_LENGTH))

    def stream(
        self, inputs: Mapping[str, NDArray[Any]], *, version: str | None = None
    ) -> PieceReader:
        """Returns the pieces of an answer as they are made: the output tensors, again and again.

        Args:
            inputs: The model's own input tensors.
            version: A version number or alias served beside the first.

        Returns:
            An iterator. Closing it, or leaving its `with` block, ends the work at the endpoint.

        Raises:
            InputError: The tensors do not fit the signature.
            WorkbenchError: Also while reading: what the answer was ended by.

        Example:
            >>> with client.stream({"prompt": prompt}) as pieces:   # doctest: +SKIP
            ...     for piece in pieces:
            ...         print(piece["text"].item(), end="")
        """
        headers, sent = v2_request(inputs, is_binary=False)
        headers |= {**self._authorization, "accept": "text/event-stream"}
        target = f"{self._base.path}{self._v2_path(version)}/infer_stream"
        connection = self._connect()
        try:
            connection.request("POST", target, sent, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _rebuilt(response, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._gone(error) from error
        except WorkbenchError:
            connection.close()
            raise
        return PieceReader(connection, response, self._gone)

    def is_ready(self) -> bool:
        """Returns whether the endpoint answers and its models predict."""
        try:
            response, _ = self._send("GET", "/v2/health/ready")
        except WorkbenchError:
            return False
        return response.status == 200

    def health(self) -> dict[str, Any]:
        """Returns readiness, the models served and what became of followed aliases."""
        return self._call("GET", "/v2/health/ready")

    def metrics(self) -> str:
        """Returns the Prometheus page."""
        return self._send("GET", "/metrics")[1].decode()

    def call(self, method: str, path: str, value: Any = None, *, why: str = "") -> bytes:
        """Returns the body of any answer of the endpoint.

        Args:
            method: As in "PUT".
            path: From the base URL on.
            value: JSON-able values to send; None sends nothing.
            why: The reason of a change, for the audit log.

        Raises:
            WorkbenchError: The endpoint's refusal.
        """
        reason = reason_headers(why)
        if value is None:
            return self._send(method, path, headers=reason)[1]
        headers = {"content-type": _JSON, **reason}
        return self._send(method, path, json.dumps(value).encode(), headers)[1]

    def close(self) -> None:
        """Closes the kept connections; the client can still be used."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_lock"):
            self.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what is sent --------------------------------------------------------------------------

    def _predict_array(self, path: str, array: NDArray[Any]) -> list[Prediction]:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return self._post(path, buffer.getvalue(), _NPY)

    def _predict_list(self, path: str, items: list[Any]) -> list[Prediction]:
        if not items:
            return []
        if all(is_array(item) for item in items):
            arrays = [as_array(item) for item in items]
            if len({(array.shape, array.dtype) for array in arrays}) == 1:
                return _one_each(self._predict_array(path, np.stack(arrays)), len(items))
        found: list[Prediction] = []
        for begin in range(0, len(items), _CHUNK_ROWS):
            part = [self._jsonable(item) for item in items[begin : begin + _CHUNK_ROWS]]
            found += _one_each(self._post_json(path, part), len(part))
        return found

    def _jsonable(self, value: Any) -> Any:
        """Returns a value as JSON has it; files become base64."""
        if isinstance(value, (bytes, bytearray, Path)) or is_picture(value):
            return {"b64": base64.b64encode(file_bytes(value)).decode()}
        if isinstance(value, str) and self._takes_files(value):
            return {"b64": base64.b64encode(file_bytes(value)).decode()}
        if isinstance(value, Mapping):
            return {str(key): self._jsonable(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._jsonable(item) for item in value]
        return as_array(value).tolist() if is_array(value) else scalar(value)

    def _takes_files(self, value: Any) -> bool:
        """Whether a text names a file: for pictures and sounds it does, for texts and rows not."""
        return isinstance(value, Path) or self.about()["files"] is not None

    def _path(self, version: str | None) -> str:
        if version is None:
            return "/predict" if self.model is None else f"/predict/{quote(self.model, safe='')}"
        name = self.model or str(self.about()["model"])
        return f"/predict/{quote(name, safe='')}/{quote(version, safe='')}"

    def _v2_path(self, version: str | None) -> str:
        name = self.model or str(self.about()["model"])
        path = f"/v2/models/{quote(name, safe='')}"
        return path if version is None else f"{path}/versions/{quote(version, safe='')}"

    # the wire ------------------------------------------------------------------------------

    def _post_json(self, path: str, inputs: Any) -> list[Prediction]:
        try:
            body = json.dumps({"inputs": inputs}, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InputError(
                f"The inputs cannot be sent: {error}.",
                hint="Arrays, files, numbers, texts, dicts and lists of them can be.",
            ) from error
        return self._post(path, body, _JSON)

    def _post(self, path: str, body: bytes, content_type: str) -> list[Prediction]:
        answer = self._call("POST", path, body, {"content-type": content_type})
        rows = enumerate(answer["predictions"])
        return [_prediction(item, _further(answer, row)) for row, item in rows]

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> dict[str, Any]:
        return dict(json.loads(self._send(method, path, body, headers)[1]))

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Sends a request; a kept connection that the endpoint closed meanwhile is made anew."""
        full = {**self._authorization, **headers}
        target = f"{self._base.path}{path}"
        response: tuple[http.client.HTTPResponse, bytes] | None = None
        while response is None:
            connection, is_new = self._take()
            try:
                response = _exchange(connection, method, target, body, full)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if is_new or isinstance(error, TimeoutError):
                    raise self._gone(error) from error
        self._give_back(connection)
        if response[0].status >= 400:
            raise _rebuilt(*response)
        return response

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        return self._connect(), True

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "https":
            return self._encrypted(host, port)
        return _Connection(host, port, timeout=self._timeout_s)

    def _encrypted(self, host: str, port: int | None) -> http.client.HTTPSConnection:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            if self._certificate:
                self._tls.load_verify_locations(cadata=self._certificate)
        return http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _gone(self, error: Exception) -> EndpointGoneError:
        what = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be reached"
        return EndpointGoneError(
            f"The endpoint at {self.url} {what}: {error}.",
            hint="wb.endpoints() lists those that run; wb.serve(ref) starts one.",
        )


class _Connection(http.client.HTTPConnection):
    """Sends small requests at once instead of waiting for more to send."""

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _further(answer: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Returns what the model's further outputs hold for one sample, where they go by samples."""
    count = len(answer["predictions"])
    outputs = answer.get("outputs") or {}
    by_sample = {n: v for n, v in outputs.items() if isinstance(v, list) and len(v) == count}
    return {name: values[row] for name, values in by_sample.items()}


def _prediction(item: Mapping[str, Any], outputs: Mapping[str, Any]) -> Prediction:
    places = item.get("label_map")
    return Prediction(
        label=item.get("label"),
        scores=item.get("scores") or {},
        value=_array_if_several(item.get("value")),
        labels=tuple(item.get("labels") or ()),
        label_map=None if places is None else np.asarray(places),
        outputs={name: _array_if_several(value) for name, value in outputs.items()},
    )


def _array_if_several(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value


def _one_each(found: list[Prediction], count: int) -> list[Prediction]:
    """Returns the predictions if there is one for each item of the list that was given.

    The endpoint tells arrays apart by rank, so it takes the rows of a picture for the picture.
    """
    if len(found) != count:
        raise InputError(
            f"Got a list of {count} items that are no samples: together they make {len(found)}.",
            hint="A list is always a batch. Give the sample as an array, or in a list: [sample].",
        )
    return found


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, target, body, dict(headers))
    response = connection.getresponse()
    return response, response.read()


def _rebuilt(response: http.client.HTTPResponse, body: bytes) -> WorkbenchError:
    try:
        data = json.loads(body)
        if isinstance(data, dict) and "code" in data:
            return error_from_dict(data)
    except ValueError:
        pass
    return BadRequestError(
        f"Got HTTP {response.status} {response.reason}, not an answer of the workbench.",
        hint="Is there a proxy in between?",
    )
