"""The explorer: a study's points, sliders for every knob; here is only measured."""

from __future__ import annotations

import base64
import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from workbench.compression import recipe as recipes
from workbench.compression.page_table import PageTable
from workbench.core.errors import StateError, WorkbenchError
from workbench.flow.study import Study
from workbench.flow.variant import Variant
from workbench.flow.workspace import Workspace
from workbench.screens.commands import Number, command
from workbench.screens.estimates import Estimates
from workbench.screens.forms import MOST
from workbench.screens.screen import Screen
from workbench.screens.showing import Field, is_small_object, is_text
from workbench.screens.views import study as view
from workbench.screens.views.version import CHAMPION
from workbench.screens.wish import SEARCH, Wish, are_limits
from workbench.tasks import is_share

_PAUSE_S = 0.1
_ACCOUNT = ("held", "held_of", "account_words", "is_refined")


class StudyScreen(Screen):
    """Shows one study and measures what is asked for, one after the other.

    Args:
        workspace: The workspace.
        study: The study; None shows the form alone.
        has_form: Whether another study can be opened here.
        on_served: Called with an endpoint that was started here.
        is_readonly: Whether nothing can be changed.

    Attributes:
        offer: The methods with their knobs, and what sizes are made of.
        measuring: What is being measured and how far it is; empty if nothing is.
        estimate: What the recipe of the sliders would measure, and how bands held so far.
        table: Which table there is for pages that compute estimates themselves; the command
            `table` tells it.
        chosen: Recipe of the point that is looked at.
        knobs: Where the sliders stand, so that two views and a reload agree.
        budget: Largest drop in points (or metric units), largest size in kB.
        results: What was registered, promoted and served, by recipe.
        form: The studies and runs to choose from.
        page_table: The table itself; None before there is one.
    """

    period_s = 2.0
    offer: Field[dict[str, Any]] = Field({})
    measuring: Field[dict[str, Any]] = Field({})
    estimate: Field[dict[str, Any]] = Field({})
    table: Field[dict[str, Any]] = Field({})
    chosen = Field("", check=is_text)
    knobs: Field[dict[str, Any]] = Field({}, check=is_small_object)
    budget: Field[dict[str, Any]] = Field({}, check=are_limits)
    results: Field[dict[str, dict[str, str]]] = Field({})
    form: Field[dict[str, Any]] = Field({})

    def __init__(
        self,
        workspace: Workspace,
        study: Study | None = None,
        *,
        has_form: bool = False,
        on_served: Callable[[Any], None] | None = None,
        is_readonly: bool = False,
    ) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace = workspace
        self._served = on_served
        self._study: Study | None = None
        self._wanted: Wish | None = None
        self._is_working = self._is_stopping = False
        self._told_at = 0.0
        self._estimates: Estimates | None = None
        self.page_table: PageTable | None = None
        self._has_form = has_form
        self.refresh()
        if study is not None:
            self.attach(study)

    def close(self) -> None:
        """Ends the estimates, too."""
        self._forget_estimates()
        super().close()

    def attach(self, study: Study) -> None:
        """Shows `study` from now on."""
        is_other = self._study is None or self._study.ref != study.ref
        if is_other:
            self._study = study
            self._forget_estimates()
        state = view.state(study)
        with self.together():
            self.facts = state
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
        before = len(self.facts.get("points", ()))
        self.facts = view.state(self._study)
        new = len(self.facts["points"]) - before
        if new > 0 and not self.measuring:
            words = "variant was" if new == 1 else "variants were"
            self.said = f"{new} more {words} measured elsewhere"
        return True

    def refresh(self) -> None:
        """Looks for studies and runs that are new."""
        if not self._has_form:
            return
        store = self._workspace.store
        runs = [r for r in store.runs.list("train") if r.status == "succeeded"][:MOST]
        studies = store.studies.all()[:MOST]
        self.form = {
            "studies": [{"ref": r.ref, "label": _label(store, r)} for r in studies],
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
                self._opened, self._said, lambda: self._is_working, self._take_table
            )
        elif not recipe and self.page_table is not None:
            self._take_table(self.page_table)  # for a page that was loaded again
        if recipe:  # whoever moves a slider lets it go soon
            threading.Thread(target=self._opened.get_ready, daemon=True).start()
        self._estimates.ask(recipe)

    @command()
    def do_table(self) -> dict[str, Any]:
        """Tells the table by which a page computes estimates itself; float32 as base64."""
        table = self.page_table
        if table is None:
            raise StateError("There is no table yet.", hint="Ask for an estimate first.")
        numbers = base64.b64encode(table.numbers).decode()
        return {"ref": self._opened.ref, "table": table.head, "numbers": numbers}

    @command(is_instant=True)
    def do_measure(self, recipe: str) -> None:
        """Asks for a measurement. A newer wish cancels the one under way and replaces any other."""
        self._wish(Wish(str(recipes.parse(recipe))))

    @command(is_instant=True)
    def do_search(
        self,
        max_drop: Number | None = None,
        max_size: str | Number | None = None,
        max_latency_ms: Number | None = None,
        minimize: str | None = None,
        budget: str | Number | None = None,
        metric: str | None = None,
    ) -> None:
        """Searches within the budget, as `study.search` does; `stop` ends it with what it has."""
        if not view.can_search(self._opened):
            raise StateError("This study cannot search.", hint="Measure recipes one by one.")
        goal = {
            "max_drop": max_drop,
            "max_size": max_size,
            "max_latency_ms": max_latency_ms,
            "minimize": minimize,
            "budget": budget,
            "metric": metric,
        }
        self._wish(Wish(SEARCH, {name: v for name, v in goal.items() if v is not None}))

    @command(is_instant=True)
    def do_stop(self) -> None:
        """Ends what is under way; what was measured is kept."""
        with self.together():
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
        with self.together():
            before = self.estimate
            kept = {k: before[k] for k in _ACCOUNT if k in before} if "asked" in answer else before
            self.estimate = {**kept, **answer, "number": before.get("number", 0) + 1}

    def _take_table(self, table: PageTable) -> None:
        with self.together():
            self.page_table = table
            self.table = {"ref": self._opened.ref, "number": self.table.get("number", 0) + 1}

    def _forget_estimates(self) -> None:
        self.page_table = None
        if self._estimates is not None:
            self._estimates.close()
            self._estimates = None

    def _weigh(self) -> None:
        weights = view.weight_bytes(self._opened)
        with self.together():
            self.offer = {**self.offer, "weight_bytes": weights}

    def _variant(self, recipe: str) -> Variant:
        found = next((v for v in self._opened.variants if v.recipe == recipe), None)
        if found is None:
            raise StateError(f"'{recipe}' was not measured.", hint="Measure it first.")
        return found

    def _words(self, recipe: str) -> str:
        return f'wb.study("{self._opened.ref}").measure({_quoted(recipe)})'

    def _keep(self, recipe: str, **facts: str) -> None:
        with self.together():
            self.results = {**self.results, recipe: {**self.results.get(recipe, {}), **facts}}

    def _wish(self, wish: Wish) -> None:
        with self.together():
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
            with self.together():
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
            variant, words = wish.granted(self._opened, self._progressed)
        except WorkbenchError:
            if self._is_stopping:
                self.said = "stopped"
                return
            raise
        with self.together():
            self.facts = view.state(self._opened)
            if self._wanted is None:
                self.chosen = variant.recipe
            if words:
                self._keep(variant.recipe, found=words)
            self.did(
                wish.code,
                f"{words} measured: {variant.metric} {_spoken(variant)}, "
                f"{variant.size_bytes / 1000:.1f} kB, {variant.latency_ms:.3g} ms".lstrip(),
            )

    def _progressed(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind != "progress" or time.monotonic() - self._told_at < _PAUSE_S:
            return
        self._told_at = time.monotonic()
        with self.together():
            self.measuring = {
                **self.measuring,
                "done": data["done"],
                "total": data["total"],
                "note": data.get("note", ""),
            }


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
