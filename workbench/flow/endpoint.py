"""An endpoint as the user holds it: predict, stop, re-attach from any process."""

from __future__ import annotations

import atexit
from functools import cached_property
from typing import Any

from workbench.core.errors import NotFoundError, did_you_mean
from workbench.core.records import Prediction
from workbench.core.shown import Shown
from workbench.flow.batch import is_batch
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.discovery import EndpointInfo
from workbench.serving.host import Order
from workbench.serving.hosts import HOSTS
from workbench.store import Store

_LOCAL = "local"


class Endpoint(Shown):
    """A running endpoint. It outlives this object and the process that started it."""

    shown_as = "endpoint"

    def __init__(self, info: EndpointInfo) -> None:
        self.info = info

    def __repr__(self) -> str:
        return f"Endpoint({self.ref!r}, {', '.join(self.models)} at {self.url})"

    @property
    def ref(self) -> str:
        """Its ref."""
        return f"endpoint:{self.info.id}"

    @property
    def url(self) -> str:
        """Base URL, as in "http://127.0.0.1:8000"."""
        return self.info.url

    @property
    def token(self) -> str:
        """The token that requests carry: `Authorization: Bearer TOKEN`."""
        return self.info.token

    @property
    def models(self) -> list[str]:
        """The names it serves."""
        return list(self.info.models)

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return discovery.is_alive(self.info)

    @cached_property
    def client(self) -> Client:
        """The typed client of this endpoint."""
        return Client(self.url, self.token)

    def predict(self, inputs: Any) -> list[Prediction]:
        """Returns a prediction for each input.

        Args:
            inputs: One sample or a batch. Arrays are told apart by rank; a list is always a
                batch (of strings, files, dicts of columns, arrays); a DataFrame is a batch too.

        Raises:
            InputError: What is wrong with which input.
        """
        return self.client.predict(inputs)

    def stop(self) -> None:
        """Ends the endpoint after it has answered what it owes."""
        HOSTS.get(_LOCAL).stop(self.info)

    def to_json(self) -> dict[str, Any]:
        """Returns the endpoint as JSON-able values, without its token."""
        return {
            "ref": self.ref,
            "id": self.info.id,
            "url": self.url,
            "models": self.models,
            "refs": list(self.info.refs),
            "pid": self.info.pid,
            "started": self.info.started,
        }


def serve(
    store: Store,
    ref: str,
    *,
    name: str | None = None,
    port: int = 0,
    host: str = _LOCAL,
    options: tuple[str, ...] = (),
) -> Endpoint:
    """Starts an endpoint for a ref and returns when its model has answered.

    Args:
        store: The workspace.
        ref: `model:name@alias`, `artifact:digest` or an ONNX file.
        name: Name to serve it under; by default its own.
        port: Port on 127.0.0.1; 0 lets the system choose.
        host: Key of the host that runs it.
        options: Further arguments of `workbench serve`.
    """
    order = Order((ref,), store.home.root, name=name, port=port, options=tuple(options))
    endpoint = Endpoint(HOSTS.get(host).start(order))
    if is_batch():
        atexit.register(endpoint.stop)
    return endpoint


def running(store: Store) -> list[Endpoint]:
    """Returns the running endpoints of a workspace, oldest first."""
    return [Endpoint(info) for info in discovery.running(home=store.home.root)]


def find(store: Store, text: str) -> Endpoint:
    """Returns the running endpoint with this ref, id or model name.

    Raises:
        NotFoundError: None runs.
    """
    wanted = text.removeprefix("endpoint:")
    found = running(store)
    for endpoint in reversed(found):
        if wanted == endpoint.info.id or wanted in endpoint.models:
            return endpoint
    names = [e.info.id for e in found] + [m for e in found for m in e.models]
    raise NotFoundError(
        f"No endpoint '{wanted}' is running{did_you_mean(wanted, names) or '.'}",
        hint="`workbench ps` lists those that run; `workbench serve REF` starts one.",
    )
