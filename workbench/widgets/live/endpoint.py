"""An endpoint in the notebook: try it, see latency, copy snippets, stop it."""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from workbench.core.errors import InputError, StateError, WorkbenchError
from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.widgets.live.base import LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf
from workbench.widgets.views import dataset as data_view
from workbench.widgets.views import endpoint as view

_KEPT_RATES = 60
_MOST_BYTES = 10_000_000


class EndpointWidget(LivePanel):
    """Shows one endpoint; in the app it also starts them.

    Attributes:
        live: Requests a second, percentiles, errors; refreshed each second.
        answer: The last answer with what was sent and where the time went.
    """

    _esm = script("endpoint")
    _css = sheet()
    period = 1.0
    live = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    row = traitlets.Dict().tag(sync=True)

    def __init__(
        self, workspace: Workspace, endpoint: Endpoint | None = None, **traits: Any
    ) -> None:
        super().__init__(**traits)
        self._workspace = workspace
        self._endpoint: Endpoint | None = None
        self._about: dict[str, Any] = {}
        self._asked: str | None = None
        self._rates: deque[float] = deque(maxlen=_KEPT_RATES)
        self._last: tuple[float, int] | None = None
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
            self._last = None
            self._about = endpoint.client.about() if endpoint.is_running else {}
            self.answer, self.row = {}, self._example()
        self.look()
        self.follow()

    def look(self) -> bool:
        """Shows what runs and how busy it is."""
        endpoint = self._endpoint
        self.show(view.state(self._workspace, self._asked, self._about))
        if endpoint is not None and endpoint.is_running:
            self._measure(endpoint)
        return True

    def do_select(self, ref: str) -> None:
        """Looks at another endpoint."""
        found = next((e for e in self._workspace.endpoints() if e.ref == ref), None)
        if found is None:
            raise StateError(f"{ref} does not run any more.", hint="Start it again.")
        self.attach(found)

    def do_serve(self, ref: str) -> None:
        """Starts an endpoint."""
        endpoint = self._workspace.serve(ref)
        self.did(f'wb.serve("{ref}")', f"served at {endpoint.url}")
        self.attach(endpoint)

    def do_stop(self) -> None:
        """Ends the endpoint after it has answered what it owes."""
        self._shown.stop()
        self.did("wb.endpoints()[-1].stop()", "stopped")
        self.look()

    def do_try_sample(self) -> None:
        """Sends a validation sample of the data that the model was made from."""
        found = view.dataset_behind(self._workspace, self._shown.info.refs[0])
        if found is None:
            raise StateError(
                "The data of this model is not in this workspace.",
                hint="Give an input of your own.",
            )
        index, value, truth = view.random_sample(found, self._rng)
        png = ""
        if found.modality == "image":
            png = data_view.gallery_of(found, "val", [index])["png"]
        self._ask(value, truth=truth, png=png, source=f"data.val[{index}].input")

    def do_try_file(self, name: str, data: str) -> None:
        """Sends a file; `data` is base64."""
        content = base64.b64decode(data)
        if len(content) > _MOST_BYTES:
            raise InputError(f"'{name}' has {len(content):,} bytes; at most 10 MB are taken here.")
        self._ask(content, source=f'Path("{name}").read_bytes()', file=name)

    def do_try_row(self, row: Mapping[str, Any]) -> None:
        """Sends one row of a table."""
        self._ask(dict(row), source=json.dumps(dict(row), ensure_ascii=False))

    def do_token(self) -> None:
        """Sends the token to the page, for its clipboard alone; it is not kept in the notebook."""
        self.send({"token": self._shown.token})

    @property
    def _shown(self) -> Endpoint:
        if self._endpoint is None:
            raise StateError("No endpoint is shown.", hint="Start one first.")
        return self._endpoint

    def _ask(self, value: Any, *, source: str, **facts: Any) -> None:
        client = self._shown.client
        before = view.figures(client.metrics())["seconds"]
        began = time.perf_counter()
        prediction = client.predict([value] if isinstance(value, Mapping) else value)[0]
        total = 1000 * (time.perf_counter() - began)
        after = view.figures(client.metrics())["seconds"]
        spent = {k: 1000 * (after[k] - before[k]) for k in after}
        self.answer = {
            **facts,
            "label": prediction.label,
            "value": prediction.value,
            "scores": sorted(prediction.scores.items(), key=lambda item: -item[1])[:8],
            "total_ms": total,
            "split": _split(total, spent),
        }
        self.did(
            f"wb.endpoints()[-1].predict({source})",
            f"answer: {prediction.label or prediction.value}",
        )

    def _example(self) -> dict[str, Any]:
        if self._endpoint is None or self._about.get("modality") != "table":
            return {}
        found = view.dataset_behind(self._workspace, self._endpoint.info.refs[0])
        return {} if found is None else view.plain_row(found.val[0].input)

    def _measure(self, endpoint: Endpoint) -> None:
        try:
            found = view.figures(endpoint.client.metrics())
        except WorkbenchError:
            return  # it ends just now; the next look shows it
        moment = time.monotonic()
        if self._last is not None and moment - self._last[0] < self.period / 2:
            return
        if self._last is not None:
            self._rates.append(
                (found["requests"] - self._last[1]) / max(1e-3, moment - self._last[0])
            )
        self._last = (moment, found["requests"])
        self.live = {**found, "rates": [round(rate, 2) for rate in self._rates]}


def _split(total: float, spent: Mapping[str, float]) -> list[list[Any]]:
    inside = min(total, spent["request"])
    rest = max(0.0, inside - spent["queue"] - spent["predict"])
    return [
        ["queue", spent["queue"]],
        ["decode, encode", rest],
        ["predict", spent["predict"]],
        ["way there and back", max(0.0, total - inside)],
    ]


def show_endpoint(endpoint: Endpoint) -> EndpointWidget:
    """Returns the panel of an endpoint."""

    def make() -> EndpointWidget:
        return EndpointWidget(Workspace(endpoint.info.home), endpoint)

    shown: Any = shelf().get((endpoint.info.home, endpoint.ref), make)
    panel: EndpointWidget = shown
    return panel
