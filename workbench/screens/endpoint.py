"""An endpoint: try it, see latency, copy snippets, share out requests, stop it."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.errors import InputError, StateError, WorkbenchError
from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.screens.commands import Number, command
from workbench.screens.screen import Screen
from workbench.screens.showing import Field
from workbench.screens.views import dataset as data_view
from workbench.screens.views import endpoint as view
from workbench.screens.views import endpoint_traffic as traffic_view
from workbench.serving.client import Client

_KEPT_RATES, _WINDOW = 60, 30
_MOST_BYTES, _MOST_SCORES = 10_000_000, 8


class EndpointScreen(Screen):
    """Shows one endpoint; in the app it also starts them.

    Args:
        workspace: The workspace.
        endpoint: The endpoint; None shows what can be started.
        is_readonly: Whether nothing can be changed.

    Attributes:
        live: Requests a second, percentiles, errors, limits; refreshed each second.
        recent: The last lines of the request log.
        replayed: What came of the last replay: the request's id and words.
        answer: The last answer with what was sent and where the time went.
        row: A row of the data to try the model with, if it takes rows.
        traffic: The versions, their shares and what came of them.
        tokens: Who may ask, never with a token's text.
    """

    live: Field[dict[str, Any]] = Field({})
    recent: Field[list[dict[str, Any]]] = Field([])
    replayed: Field[dict[str, Any]] = Field({})
    answer: Field[dict[str, Any]] = Field({})
    row: Field[dict[str, Any]] = Field({})
    traffic: Field[dict[str, Any]] = Field({})
    tokens: Field[list[dict[str, Any]]] = Field([])

    def __init__(
        self,
        workspace: Workspace,
        endpoint: Endpoint | None = None,
        *,
        is_readonly: bool = False,
    ) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace = workspace
        self._endpoint: Endpoint | None = None
        self._about: dict[str, Any] = {}
        self._asked: str | None = None
        self._rates: deque[float] = deque(maxlen=_KEPT_RATES)
        self._past: deque[tuple[float, dict[str, Any]]] = deque(maxlen=_WINDOW)
        self._sent: tuple[Any, dict[str, Any]] | None = None
        self._rng = np.random.default_rng()
        if endpoint is not None:
            self.attach(endpoint)
        else:
            self.look()

    def attach(self, endpoint: Endpoint) -> None:
        """Shows `endpoint` from now on."""
        with self._turn:
            self._endpoint, self._asked = endpoint, endpoint.ref
            self._rates.clear()
            self._past.clear()
            self._sent = None
            self._about = _about(endpoint)
            self.answer, self.replayed, self.row = {}, {}, self._example()
            self.tokens = traffic_view.tokens(endpoint) if endpoint.is_running else []
        self.look()
        self.follow()

    def look(self) -> bool:
        """Shows what runs and how busy it is."""
        endpoint = self._endpoint
        self.facts = view.state(self._workspace, self._asked, self._about)
        if endpoint is not None and endpoint.is_running:
            self._measure(endpoint)
        return True

    @command(is_for_visitors=True)
    def do_select(self, ref: str) -> None:
        """Looks at another endpoint."""
        found = next((e for e in self._workspace.endpoints() if e.ref == ref), None)
        if found is None:
            raise StateError(f"{ref} does not run any more.", hint="Start it again.")
        self.attach(found)

    @command()
    def do_serve(self, ref: str) -> None:
        """Starts an endpoint."""
        endpoint = self._workspace.serve(ref)
        self.did(f'wb.serve("{ref}")', f"served at {endpoint.url}")
        self.attach(endpoint)

    @command()
    def do_stop(self) -> None:
        """Ends the endpoint after it has answered what it owes."""
        self._shown.stop()
        self.did(f'wb.endpoint("{self._shown.ref}").stop()', "stopped")
        self.look()

    @command()
    def do_try_sample(self) -> dict[str, Any]:
        """Sends a validation sample of the model's data; tells the caller what it sounds like."""
        found = view.dataset_behind(self._workspace, self._shown.info.refs[0])
        if found is None:
            raise StateError(
                "The data of this model is not in this workspace.",
                hint="Give an input of your own.",
            )
        index, value, truth = view.random_sample(found, self._rng)
        png = ""
        if data_view.has_tiles(found):
            png = data_view.gallery_of(found, "val", [index])["png"]
        self._ask(value, truth=truth, png=png, source=f"data.val[{index}].input")
        return {"sample": data_view.playable(found, value)}

    @command()
    def do_try_file(self, name: str, data: str) -> None:
        """Sends a file; `data` is base64."""
        try:
            content = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise InputError(f"'{name[:80]}' is no base64: {error}.") from error
        if len(content) > _MOST_BYTES:
            raise InputError(f"'{name}' has {len(content):,} bytes; at most 10 MB are taken here.")
        self._ask(content, source=f'Path("{name}").read_bytes()', file=name)

    @command()
    def do_try_row(self, row: dict[str, Any]) -> None:
        """Sends one row of a table."""
        self._ask(row, source=json.dumps(row, ensure_ascii=False))

    @command()
    def do_again(self) -> None:
        """Sends the last input again."""
        if self._sent is None:
            raise StateError("Nothing was sent from here yet.", hint="Try a sample first.")
        value, facts = self._sent
        self._ask(value, **facts)

    @command()
    def do_replay(self, id: str) -> None:
        """Answers a kept request once more, in this kernel."""
        found = self._shown.replay(id)
        self.replayed = {"id": id, "words": found.words, "is_same": found.is_same}
        self.did(f'wb.endpoint("{self._shown.ref}").replay("{id}")', found.words)

    @command()
    def do_traffic(
        self,
        weights: dict[str, Number],
        shadow: str | None = None,
        budget: dict[str, Number] | None = None,
    ) -> None:
        """Shares requests out among the versions, copies them to a shadow, sets the budget."""
        options: dict[str, Any] = {"shadow": shadow, "budget": budget or None}
        given = {name: value for name, value in options.items() if value is not None}
        report = self._shown.traffic(weights, **given)
        words = "".join(f", {name}={value!r}" for name, value in given.items())
        self.did(f'wb.endpoint("{self._shown.ref}").traffic({weights}{words})', "in force")
        self.traffic = traffic_view.traffic(self._workspace, report)

    @command()
    def do_traffic_clear(self) -> None:
        """Gives all requests to the version that was served first."""
        report = self._shown.traffic({})
        self.did(f'wb.endpoint("{self._shown.ref}").traffic({{}})', "one version answers all")
        self.traffic = traffic_view.traffic(self._workspace, report)

    @command()
    def do_add_token(
        self, name: str, scope: str, expires: str = "", rate: Number | None = None
    ) -> dict[str, Any]:
        """Makes a token and tells it to the caller alone."""
        limits: dict[str, Any] = {} if rate is None else {"rate": rate}
        made = self._shown.add_token(name, (scope,), expires=expires or None, **limits)
        self.did(f'wb.endpoint("{self._shown.ref}").add_token("{name}")', f"{name} may {scope}")
        self.tokens = traffic_view.tokens(self._shown)
        return {"token": made.text, "made": made.grant.name}

    @command()
    def do_revoke_token(self, name: str) -> None:
        """Shuts a token out."""
        self._shown.revoke_token(name)
        self.did(f'wb.endpoint("{self._shown.ref}").revoke_token("{name}")', f"{name} is shut out")
        self.tokens = traffic_view.tokens(self._shown)

    @command()
    def do_token(self) -> dict[str, Any]:
        """Tells the token to the caller alone; it is not kept in the notebook."""
        return {"token": self._shown.token}

    @property
    def _shown(self) -> Endpoint:
        if self._endpoint is None:
            raise StateError("No endpoint is shown.", hint="Start one first.")
        return self._endpoint

    def _ask(self, value: Any, *, source: str, **facts: Any) -> None:
        client = self._shown.client
        before = view.figures(client.metrics())
        began = time.perf_counter()
        prediction = client.predict([value] if isinstance(value, Mapping) else value)[0]
        total = 1000 * (time.perf_counter() - began)
        spent = view.between(before, view.figures(client.metrics()))["split"]
        self._sent = (value, {"source": source, **facts})
        self.answer = {
            **facts,
            "label": None if isinstance(prediction.value, int | float) else prediction.words,
            "value": prediction.value if isinstance(prediction.value, int | float) else None,
            "scores": _best(prediction.scores),
            "total_ms": total,
            "split": _split(total, spent),
        }
        self.did(
            f'wb.endpoint("{self._shown.ref}").predict({source})',
            f"answer: {prediction.words}",
        )

    def _example(self) -> dict[str, Any]:
        if self._endpoint is None or not self._about:
            return {}
        found = view.dataset_behind(self._workspace, self._endpoint.info.refs[0])
        return {} if found is None else view.example_row(found)

    def _measure(self, endpoint: Endpoint) -> None:
        moment = time.monotonic()
        if self._past and moment - self._past[-1][0] < self.period_s / 2:
            return
        try:
            found = view.figures(endpoint.client.metrics())
            self.traffic = traffic_view.traffic(self._workspace, endpoint.traffic())
        except WorkbenchError:
            return  # it ends just now; the next look shows it
        if self._past:
            then, before = self._past[-1]
            rate = (found["requests"] - before["requests"]) / max(1e-3, moment - then)
            self._rates.append(max(0.0, rate))
        self._past.append((moment, found))
        window = view.between(self._past[0][1], found)
        self.live = {
            **{k: found[k] for k in ("requests", "errors", "limits")},
            **(window if window["count"] > 0 else {"p50_ms": None, "p99_ms": None, "split": []}),
            "window_s": round(moment - self._past[0][0]),
            "rates": [round(rate, 2) for rate in self._rates],
        }
        requests = self._workspace.store.home.requests
        self.recent = view.recent(requests, endpoint.models, endpoint.info.started)
        if found["version"] and found["version"] != str(self._about.get("version")):
            self._switched(endpoint, found["version"])

    def _switched(self, endpoint: Endpoint, version: str) -> None:
        before = self._about.get("version")
        self._about = _about(endpoint)
        self.said = f"the endpoint went from version {before} to {version}"
        self.facts = view.state(self._workspace, self._asked, self._about)


def _about(endpoint: Endpoint) -> dict[str, Any]:
    """Returns what the endpoint says of its model just now."""
    if not endpoint.is_running:
        return {}
    trusted = endpoint.info.certificate
    with Client(endpoint.url, endpoint.token, certificate=trusted) as client:
        return dict(client.about())


def _best(scores: Mapping[str, float]) -> list[list[Any]]:
    """Returns the highest scores by name, highest first."""
    return [list(one) for one in sorted(scores.items(), key=lambda item: -item[1])[:_MOST_SCORES]]


def _split(total: float, inside: Sequence[Sequence[Any]]) -> list[list[Any]]:
    spent = sum(value for _, value in inside)
    return [*map(list, inside), ["way there and back", max(0.0, total - spent)]]
