"""What the dashboards show to others: read-only, opening with one sentence."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from workbench.core.errors import StateError, WorkbenchError
from workbench.core.lazy import lazy
from workbench.flow.study import Study
from workbench.flow.verbs import default_workspace
from workbench.screens.views import study as view
from workbench.widgets import frontend, study_cards

if TYPE_CHECKING:
    from workbench.widgets.live import study as live
else:
    live = lazy("workbench.widgets.live.study")

_STYLE = (
    "font:{size}/1.5 var(--jp-ui-font-family,system-ui,sans-serif);max-width:1100px;margin:8px 0;"
    "color:var(--jp-ui-font-color0,inherit);overflow-wrap:anywhere"
)


class Html:
    """A piece of HTML as the last line of a cell."""

    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_html_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<dashboard>"


class Explorer:
    """The explorer without its actions, as the last line of a cell."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def _ipython_display_(self) -> None:
        frontend.show(self._study, study_cards.study_card, _readonly)

    def _repr_html_(self) -> str:
        return study_cards.study_card(self._study).html()

    def __repr__(self) -> str:
        return f"<explorer of {self._study.ref}>"


def find_study(ref: str | None = None) -> Study | None:
    """Returns the study with this ref, else the one with the most variants, if any."""
    workspace = default_workspace()
    if ref:
        found: Study = workspace.study(ref)
        return found
    records = workspace.store.studies.all()
    if not records:
        return None
    best = max(records, key=lambda r: len(workspace.store.studies.variants(r.id)))
    opened: Study = workspace.study(best.ref)
    return opened


def verdict(study: Study | None, max_drop: float = 0.01) -> Html:
    """Returns the one sentence: recommended version, what is lost and gained, and why."""
    if study is None:
        error = StateError("There is no study yet.", hint="`workbench demo` makes one in a minute.")
        return Html(frontend.error_card(error))
    try:
        words = view.verdict(study, max_drop)
    except WorkbenchError as error:
        return Html(frontend.error_card(error))
    style = _STYLE.format(size="18px")
    return Html(f'<p class="verdict" style="{style}">{html.escape(words)}</p>')


def explorer(study: Study | None) -> Html | Explorer:
    """Returns the explorer without its actions."""
    return Html("") if study is None else Explorer(study)


def facts(study: Study | None) -> Html:
    """Returns what the figures stand on: samples, machine, data."""
    if study is None:
        return Html("")
    shown = view.state(study)
    words = (
        f"Scores on {shown['samples']:,} validation samples, by ONNX Runtime on the exported file. "
        f"Latency: {shown['machine']}. Data: {shown['data']}. Study: {shown['ref']}."
    )
    style = _STYLE.format(size="13px")
    return Html(f'<p style="{style};opacity:.8">{html.escape(words)}</p>')


def _readonly(study: Study) -> Any:
    return live.show_study(study, is_readonly=True)
