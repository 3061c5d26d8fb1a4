"""The explorer: a study's points, sliders for every knob; the kernel only measures."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import traitlets

from workbench.compression import recipe as recipes
from workbench.compression.page_table import PageTable
from workbench.core.errors import StateError, WorkbenchError
from workbench.flow.study import Study
from workbench.flow.variant import Variant
from workbench.flow.workspace import Workspace
from workbench.screens.estimates import Estimates
from workbench.screens.views import study as view
from workbench.screens.views.version import CHAMPION
from workbench.tasks import is_share
from workbench.widgets.live.base import STATIC, LivePanel, script, sheet
from workbench.widgets.live.door import are_limits, command, is_small_object, is_text
from workbench.widgets.live.shelf import shelf

_PAUSE_S = 0.1
_SEARCH = "search"
_ACCOUNT = ("held", "held_of", "account_words", "is_refined")


@dataclass(frozen=True)
class Wish:
    """What the page asked for: a recipe to be measured, or the search for one.

    Attributes:
        what: The recipe, or "search".
        goal: Limits and budget of a search.
    """

    what: str
    goal: Mapping[str, Any] | None = None

    @property
    def code(self) -> str:
        """The same in Python."""
        if self.goal is None:
            text = self.what if self.what.startswith("{") else f'"{self.what}"'
            return f"study.measure({text})"
        return f"study.search({', '.join(f'{k}={v!r}' for k, v in self.goal.items())})"

    def granted(self, study: Study, tell: Callable[..., None]) -> tuple[Variant, str]:
        """Returns the variant, and what the search has to say of it."""
        if self.goal is None:
            return study.measure(self.what, on_event=tell), ""
        found: Any = view.search_of(study)(**self.goal, on_event=tell)
        return found, str(getattr(found.found, "words", ""))


class StudyWidget(LivePanel):
    """Shows one study and measures what is asked for, one after the other.

    Attributes:
        offer: The methods with their knobs, and what sizes are made of.
        measuring: What is being measured and how far it is; empty if nothing is.
        estimate: What the recipe of the sliders would measure, and how bands held so far.
        chosen: Recipe of the point that is looked at.
        knobs: Where the sliders stand, so that two views and a reload agree.
        budget: Largest drop in points (or metric units), largest size in kB.
        results: What was registered, promoted and served, by recipe.
    """

    _esm = script("study_recipe", "study_places", "study_estimate", "study_chart", "study")
    _css = sheet()
    period = 2.0
    offer = traitlets.Dict().tag(sync=True)
    measuring = traitlets.Dict().tag(sync=True)
    estimate = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    knobs = traitlets.Dict().tag(sync=True)
    budget = traitlets.Dict().tag(sync=True)
    results = traitlets.Dict().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)
    inputs = MappingProxyType({"chosen": is_text, "knobs": is_small_object, "budget": are_limits})

    def __init__(
        self,
        workspace: Workspace,
        study: Study | None = None,
        *,
        has_form: bool = False,
        on_served: Callable[[Any], None] | None = None,
        on_registered: Callable[[Any], None] | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(**traits)
        self._workspace = workspace
        self._served, self._registered = on_served, on_registered
        self._study: Study | None = None
        self._wanted: Wish | None = None
        self._is_working = self._is_stopping = False
        self._told_at = 0.0
        self._estimates: Estimates | None = None
        self._table: PageTable | None = None
        self._has_form = has_form
        self.refresh()
        if study is not None:
            self.attach(study)

    def attach(self, study: Study) -> None:
        """Shows `study` from now on."""
        is_other = self._study is None or self._study.ref != study.ref
        if is_other:
            self._study = study
            self._forget_estimates()
        state = view.state(study)
        with self._turn, self.hold_sync():
            self.show(state)
            if is_other:
                is_onnx = study.store.artifacts.get(study.record.model).kind == "onnx"
                can = view.can_search(study)
                self.offer = {"methods": view.methods(is_onnx), "can_search": can}
                self.budget = {"drop": 1.0 if state["is_share"] else _tenth(state), "kb": None}
                self.knobs, self.measuring, self.estimate = {}, {}, {}
                self.results = view.registered(study)
                self.chosen = _best(state, self.budget)
        if is_other:
            threading.Thread(target=self.guarded, args=(self._weigh,), daemon=True).start()
        self.follow()

    def look(self) -> bool:
        """Shows what was measured meanwhile, here or elsewhere."""
        if self._study is None:
            return False
        before = len(self.state.get("points", ()))
        self.show(view.state(self._study))
        new = len(self.state["points"]) - before
        if new > 0 and not self.measuring:
            words = "variant was" if new == 1 else "variants were"
            self.said = f"{new} more {words} measured elsewhere"
        return True

    def refresh(self) -> None:
        """Looks for studies and runs that are new."""
        if not self._has_form:
            return
        store = self._workspace.store
        runs = [r for r in store.runs.list("train") if r.status == "succeeded"]
        self.form = {
            "studies": [{"ref": r.ref, "label": _label(store, r)} for r in store.studies.all()],
            "runs": [{"ref": r.ref, "label": f"{r.config.get('family')} · {r.id}"} for r in runs],
        }

    @command()
    def do_open(self, ref: str) -> None:
        """Shows a study, or makes the one of a run (its baseline is measured first)."""
        study = self._workspace.study(ref)
        self.did(f'wb.study("{ref}")', f"{study.ref} is open")
        self.attach(study)
        self.refresh()

    @command(is_instant=True)
    def do_estimate(self, recipe: str = "") -> None:
        """Asks what a recipe would measure; the answer comes as `estimate`.

        "" gets ready: the table comes, by which the page computes estimates itself.
        """
        if self._estimates is None:
            self._estimates = Estimates(
                self._opened, self._said, lambda: self._is_working, self._send_table
            )
        elif not recipe and self._table is not None:
            self._send_table(self._table)  # a page that was loaded again
        if recipe:  # whoever moves a slider lets it go soon
            threading.Thread(target=self._opened.get_ready, daemon=True).start()
        self._estimates.ask(recipe)

    @command(is_instant=True)
    def do_measure(self, recipe: str) -> None:
        """Asks for a measurement. A newer wish cancels the one under way and replaces any other."""
        self._wish(Wish(str(recipes.parse(recipe))))

    @command(is_instant=True)
    def do_search(self, **goal: Any) -> None:
        """Searches within the budget, as `study.search` does; `stop` ends it with what it has."""
        if not view.can_search(self._opened):
            raise StateError("This study cannot search.", hint="Measure recipes one by one.")
        self._wish(Wish(_SEARCH, {k: v for k, v in goal.items() if v is not None}))

    @command(is_instant=True)
    def do_stop(self) -> None:
        """Ends what is under way; what was measured is kept."""
        with self._turn:
            self._wanted = None
            if self._is_working:
                self._cancel()

    @command()
    def do_register(self, recipe: str, name: str) -> None:
        """Makes a signed version of a measured variant."""
        version = self._workspace.register(self._variant(recipe), name.strip())
        self._keep(recipe, version=version.ref)
        self.did(
            f'wb.register({self._words(recipe)}, "{version.name}")', f"registered {version.ref}"
        )
        if self._registered is not None:
            self._registered(version)

    @command()
    def do_promote(self, recipe: str) -> None:
        """Makes the version of a variant the champion."""
        ref = self.results.get(recipe, {}).get("version")
        if ref is None:
            raise StateError("This variant has no version yet.", hint="Register it first.")
        version = self._workspace.version(ref)
        self._workspace.promote(version.name, version)
        self._keep(recipe, promoted=CHAMPION)
        self.did(
            f'wb.promote("{version.name}", {version.number})',
            f"{ref} is the champion; wb.rollback undoes it",
        )

    @command()
    def do_serve(self, recipe: str) -> None:
        """Starts an endpoint for a version, or for the variant itself."""
        model = self.results.get(recipe, {}).get("version") or self._variant(recipe).ref
        endpoint = self._workspace.serve(model)
        self._keep(recipe, endpoint=endpoint.ref, url=endpoint.url)
        self.did(f'wb.serve("{model}")', f"served at {endpoint.url}")
        if self._served is not None:
            self._served(endpoint)

    @property
    def _opened(self) -> Study:
        if self._study is None:
            raise StateError("No study is shown.", hint="wb.study(run) makes one.")
        return self._study

    def _said(self, answer: dict[str, Any]) -> None:
        with self._turn:
            before = self.estimate
            kept = {k: before[k] for k in _ACCOUNT if k in before} if "asked" in answer else before
            self.estimate = {**kept, **answer, "number": before.get("number", 0) + 1}

    def _send_table(self, table: PageTable) -> None:
        self._table = table
        about = {"table": table.head, "ref": self._opened.ref, "code": _page_code()}
        self.send(about, [table.numbers])

    def _forget_estimates(self) -> None:
        self._table = None
        if self._estimates is not None:
            self._estimates.close()
            self._estimates = None

    def _weigh(self) -> None:
        weights = view.weight_bytes(self._opened)
        with self._turn:
            self.offer = {**self.offer, "weight_bytes": weights}

    def _variant(self, recipe: str) -> Variant:
        found = next((v for v in self._opened.variants if v.recipe == recipe), None)
        if found is None:
            raise StateError(f"'{recipe}' was not measured.", hint="Measure it first.")
        return found

    def _words(self, recipe: str) -> str:
        return f'wb.study("{self._opened.ref}").measure({_quoted(recipe)})'

    def _keep(self, recipe: str, **facts: str) -> None:
        with self._turn:
            self.results = {**self.results, recipe: {**self.results.get(recipe, {}), **facts}}

    def _wish(self, wish: Wish) -> None:
        with self._turn:
            self.banner = None
            if self._is_working and self._wanted is None and wish.what == self.measuring["recipe"]:
                return
            self._wanted = wish
            if self._is_working:
                self.measuring = {**self.measuring, "next": wish.what}
                self._cancel()
                return
            self._is_working = True
        threading.Thread(target=self._measure_all, daemon=True).start()

    def _cancel(self) -> None:
        self._is_stopping = True
        self._opened.cancel()

    def _measure_all(self) -> None:
        while True:
            with self._turn:
                wanted, self._wanted = self._wanted, None
                if wanted is None:
                    self._is_working, self.measuring = False, {}
                    break
                self.measuring = {
                    "recipe": wanted.what,
                    "done": 0,
                    "total": 3,
                    "note": "starting",
                    "began": time.time(),
                }
            self.guarded(functools.partial(self._measure, wanted))
        self.guarded(self.refresh)
        if self._estimates is not None:
            self._estimates.ask("")

    def _measure(self, wish: Wish) -> None:
        self._is_stopping = False
        try:
            variant, words = wish.granted(self._opened, self._tell)
        except WorkbenchError:
            if self._is_stopping:
                self.said = "stopped"
                return
            raise
        with self._turn, self.hold_sync():
            self.show(view.state(self._opened))
            if self._wanted is None:
                self.chosen = variant.recipe
            if words:
                self._keep(variant.recipe, found=words)
            self.did(
                wish.code,
                f"{words} measured: {variant.metric} {_spoken(variant)}, "
                f"{variant.size_bytes / 1000:.1f} kB, {variant.latency_ms:.3g} ms".lstrip(),
            )

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind != "progress" or time.monotonic() - self._told_at < _PAUSE_S:
            return
        self._told_at = time.monotonic()
        with self._turn:
            self.measuring = {
                **self.measuring,
                "done": data["done"],
                "total": data["total"],
                "note": data.get("note", ""),
            }


@functools.cache
def _page_code() -> str:
    """Returns the module that computes estimates in the page; it comes with the table."""
    return (STATIC / "estimate.js").read_text("utf-8")


def _label(store: Any, record: Any) -> str:
    words = str(record.config.get("model_ref") or record.id)
    count = len(store.studies.variants(record.id))
    return f"{words} · {count} variant{'' if count == 1 else 's'}"


def _spoken(variant: Variant) -> str:
    return f"{100 * variant.score:.1f} %" if is_share(variant.metric) else f"{variant.score:.4g}"


def _best(state: Mapping[str, Any], budget: Mapping[str, Any]) -> str:
    limit = budget["drop"] / 100 if state["is_share"] else budget["drop"]
    within = [p for p in state["points"] if p["drop"] <= limit]
    return str(min(within, key=lambda p: p["size_bytes"])["recipe"]) if within else ""


def _quoted(recipe: str) -> str:
    return repr(recipe) if '"' in recipe else f'"{recipe}"'


def _tenth(state: Mapping[str, Any]) -> float:
    scores = [abs(p["score"]) for p in state["points"] if p["is_baseline"]]
    return round(0.05 * scores[0], 4) if scores else 0.0


def show_study(study: Study, *, is_readonly: bool = False) -> StudyWidget:
    """Returns the explorer of a study."""
    root = study.store.home.root
    key = (str(root), study.ref, str(is_readonly))
    panel = shelf().get(key, lambda: StudyWidget(Workspace(root), study, is_readonly=is_readonly))
    panel.attach(study)
    return panel
