"""An endpoint as the user holds it: predict, stop, re-attach from any process."""

from __future__ import annotations

import atexit
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NotFoundError, did_you_mean, unknown_name
from workbench.core.records import Prediction
from workbench.core.refs import parse_ref
from workbench.core.shown import Shown
from workbench.flow.batch import is_batch
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.discovery import EndpointInfo
from workbench.serving.host import Order
from workbench.serving.hosts import HOSTS
from workbench.serving.manager import Manager, NewToken
from workbench.serving.payloads import PAYLOADS
from workbench.serving.replay import Replayed, kept_request, replay
from workbench.serving.sources import find_source
from workbench.serving.state import READY, IndexRow
from workbench.serving.tokens import Grant
from workbench.serving.traffic import Budget, Traffic, TrafficReport
from workbench.store import Store, Version, open_store

_LOCAL, _WORKERS = "local", "workers"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    def grpc(self) -> str:
        """Where it answers gRPC, as in "127.0.0.1:8001"; "" if it does not."""
        return self.info.grpc

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
        """Whether its process runs, and somebody in it answers: see `failure`."""
        return discovery.is_alive(self.info) and not self.failure

    @property
    def failure(self) -> str:
        """Why nothing answers though its process is there, as "worker 0 ended: …"; "" if not so."""
        found = discovery.read(self.info.id)
        return found.failed if found is not None and found.pid == self.info.pid else ""

    @cached_property
    def client(self) -> Client:
        """The typed client of this endpoint."""
        return Client(self.url, self.token, certificate=self.info.certificate)

    def predict(self, inputs: Any) -> list[Prediction]:
        """Returns a prediction for each input.

        Args:
            inputs: One sample or a batch. Arrays are told apart by rank; a list is always a
                batch (of strings, files, dicts of columns, arrays); a DataFrame is a batch too.

        Raises:
            InputError: What is wrong with which input.
        """
        return self.client.predict(inputs)

    def replay(self, id: str) -> Replayed:
        """Answers a kept request once more, in this process, with the version that answered it.

        Args:
            id: As `kept` in the request log; `workbench serve --keep-payloads 1` keeps requests.

        Raises:
            NotFoundError: It was not kept, or its version is gone.
            IntegrityError: The version is not what was registered.
        """
        store = open_store(Path(self.info.home))
        line = kept_request(store.home.requests / PAYLOADS, id)
        name, version = line["model"], line["version"]
        refs = dict(zip(self.info.models, self.info.refs, strict=False))
        served = refs.get(name, f"model:{name}")
        if served.startswith("model:"):
            served = f"model:{parse_ref(served).name}@{version}"
        return replay(line, find_source(served, store, name))

    def traffic(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        sticky: str | None = None,
        shadow: str | None = None,
        shadow_share: float = 1.0,
        budget: Mapping[str, float] | Budget | None = None,
        model: str | None = None,
        why: str = "",
    ) -> TrafficReport:
        """Shares a model's requests out among its versions; without arguments only tells.

        Versions that are not served yet are loaded first; no request waits for it. What is set
        holds until it is set again, also over a hot swap and a restart; `{}` clears it.

        Args:
            weights: By alias or number, as in `{"champion": 90, "canary": 10}`.
            sticky: Name of a header whose value keeps a caller on one version; "caller" takes
                the name of the token.
            shadow: A version that gets copies of the requests; its answers are only compared.
            shadow_share: Share of the requests that are copied, above 0 to 1.
            budget: When a version is taken back by itself: `errors` (share of 5xx), `latency_ms`
                with `slow` (share above it), `window_s`, `requests` (fewest for a judgment).
            model: Which one, if the endpoint serves several.
            why: The reason, for the audit log.

        Raises:
            InputError: Something of it is wrong; all problems at once.
            NotFoundError: There is no such version.
        """
        if model is not None and model not in self.models:
            raise unknown_name("model", model, self.models)
        manager = self._manager
        if weights is None and shadow is None and budget is None and sticky is None:
            return manager.traffic(model)
        if weights is not None and not weights and shadow is None and budget is None:
            return manager.set_traffic(None, model, why=why)
        values = {
            "weights": dict(weights or {}),
            "sticky": sticky,
            "shadow": shadow,
            "shadow_share": shadow_share,
            "budget": budget,
        }
        return manager.set_traffic(Traffic.parse(values, what="the traffic"), model, why=why)

    def index(self) -> list[IndexRow]:
        """Returns the versions that are served, and those that were or should be, and why not."""
        return self._manager.index()

    def load(self, model: str | Version, *, why: str = "") -> list[IndexRow]:
        """Serves a model of the registry beside the others, verified; returns what is served.

        Example:
            `endpoint.load("digits-cnn@2")`

        Args:
            model: A version, or `NAME`, `NAME@ALIAS` (which is then followed) or `NAME@3`.
            why: The reason, for the audit log.

        Raises:
            NotFoundError: There is no such model or version.
            IntegrityError: Its files are not what was registered.
        """
        return self._renamed(self._manager.load(_model(model), why=why))

    def unload(self, model: str | Version, *, why: str = "") -> list[IndexRow]:
        """Takes a model, or one version of it, out; it first answers what it owes.

        Raises:
            NotFoundError: It is not served.
            StateError: The version gets a share of the requests.
        """
        return self._renamed(self._manager.unload(_model(model), why=why))

    def _renamed(self, rows: list[IndexRow]) -> list[IndexRow]:
        """Takes up which names are served now."""
        names = tuple(dict.fromkeys(row.name for row in self.index() if row.state == READY))
        self.info = replace(self.info, models=names)
        return rows

    def tokens(self) -> list[Grant]:
        """Returns what each token allows; their text is kept nowhere."""
        return self._manager.grants()

    def add_token(
        self,
        name: str,
        scopes: Sequence[str] = ("predict",),
        *,
        models: Sequence[str] | None = None,
        expires: str | timedelta | datetime | float | None = None,
        why: str = "",
        **limits: float,
    ) -> NewToken:
        """Makes a further token; its text is in `.text` of what returns, and nowhere else.

        Args:
            name: For the audit log, the metrics and `revoke_token`.
            scopes: Of "predict", "manage" and "metrics" (which reads figures only).
            models: Only for these; by default for all.
            expires: "12h", "30d", a `timedelta`, a `datetime`, or seconds since 1970.
            why: The reason, for the audit log.
            limits: `rate` (predictions a second), `burst` (at once), `body_bytes` and `values`
                (numbers in the tensors) of one request.

        Raises:
            InputError: The name is taken, or an option is wrong.
        """
        values = {
            "name": name,
            "scopes": scopes,
            "models": models,
            "expires": expiry(expires),
            "limits": limits,
        }
        return self._manager.add_token(Grant.parse(values, what="the token"), why=why)

    def revoke_token(self, name: str, *, why: str = "") -> None:
        """Shuts a token out from the next request on.

        Raises:
            NotFoundError: No such token.
        """
        self._manager.revoke_token(name, why=why)

    @property
    def _manager(self) -> Manager:
        return Manager(self.client)

    def stop(self) -> None:
        """Ends the endpoint after it has answered what it owes."""
        HOSTS.get(_LOCAL).stop(self.info)

    def to_json(self) -> dict[str, Any]:
        """Returns the endpoint as JSON-able values, without its token."""
        return {
            "ref": self.ref,
            "id": self.info.id,
            "url": self.url,
            "grpc": self.grpc,
            "models": self.models,
            "refs": list(self.info.refs),
            "pid": self.info.pid,
            "started": self.info.started,
            "failed": self.failure,
        }


def serve(
    store: Store,
    ref: str,
    *,
    name: str | None = None,
    port: int = 0,
    host: str = _LOCAL,
    workers: int | None = None,
    id: str | None = None,
    traffic: Mapping[str, Any] | Traffic | None = None,
    keep_payloads: float = 0.0,
    redact: Sequence[str] = (),
    idle_stop: float | None = None,
    tls: str | Sequence[str] = (),
    grpc_port: int | None = None,
    config: Mapping[str, Any] | None = None,
    options: tuple[str, ...] = (),
) -> Endpoint:
    """Starts an endpoint for a ref and returns when its model has answered.

    Args:
        store: The workspace.
        ref: `model:name@alias`, `artifact:digest` or an ONNX file.
        name: Name to serve it under; by default its own.
        port: Port on 127.0.0.1; 0 lets the system choose.
        host: Key of the host that runs it.
        workers: Processes behind the port; more than one takes the host "workers".
        id: Its id; a later endpoint of the same id takes up the traffic and tokens it had.
        traffic: From the start: weights as `{"champion": 90, "canary": 10}`, or all fields of
            `Traffic` as `{"weights": {…}, "shadow": …, "budget": {…}}`.
        keep_payloads: Share of the requests whose samples are kept, redacted, for
            `load("request_log")`; by default none.
        redact: Columns never kept.
        idle_stop: Minutes without a request after which it ends; 0 never. By default 30 on a
            JupyterHub, else never.
        tls: "self" for a generated certificate, or the files of your own and its key.
        grpc_port: Also answer gRPC there; 0 lets the system choose, see `Endpoint.grpc`.
        config: Options of the host, as `{"replicas": 4}` of "ray".
        options: Further arguments of `workbench serve`.
    """
    further = list(options)
    if keep_payloads:
        further += ["--keep-payloads", str(keep_payloads)]
    for column in redact:
        further += ["--redact", column]
    if idle_stop is not None:
        further += ["--idle-stop", str(idle_stop)]
    if traffic is not None:
        further += ["--traffic", json.dumps(_traffic(traffic).to_json())]
    if tls:
        further += ["--tls", *([tls] if isinstance(tls, str) else tls)]
    if grpc_port is not None:
        further += ["--grpc-port", str(grpc_port)]
    chosen = dict(config or {})
    if workers is not None and (workers > 1 or host != _LOCAL):
        host, chosen = (_WORKERS if host == _LOCAL else host), {**chosen, "workers": workers}
    order = Order((ref,), store.home.root, name, port, id, chosen, tuple(further))
    endpoint = Endpoint(HOSTS.get(host).start(order))
    if is_batch():
        atexit.register(endpoint.stop)
    return endpoint


def _model(given: str | Version) -> str:
    return (given if isinstance(given, str) else given.ref).removeprefix("model:")


def expiry(given: str | timedelta | datetime | float | None) -> float | None:
    """Returns a time given in words or as a value as seconds since 1970.

    Raises:
        InputError: The text is no duration.
    """
    if given is None or isinstance(given, (int, float)):
        return given
    if isinstance(given, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", given.strip())
        if found is None:
            raise InputError(
                f"Got the expiry '{given}'.", hint='"30m", "12h" or "30d" would be right.'
            )
        given = timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    if isinstance(given, timedelta):
        return time.time() + given.total_seconds()
    return given.timestamp()


def _traffic(given: Mapping[str, Any] | Traffic) -> Traffic:
    if isinstance(given, Traffic):
        return given
    is_full = bool(set(given) & set(Traffic.model_fields))
    return Traffic.parse(given if is_full else {"weights": given}, what="traffic")


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
