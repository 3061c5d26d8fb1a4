"""The explorer in the notebook."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import traitlets

from workbench.flow.study import Study
from workbench.flow.workspace import Workspace
from workbench.screens.study import StudyScreen
from workbench.widgets.live.binding import STATIC, LivePanel, script, sheet
from workbench.widgets.live.shelf import shelf


class StudyWidget(LivePanel):
    """See `StudyScreen`; its table goes to the page as bytes, with the module that reads it."""

    screen: StudyScreen
    _esm = script("study_recipe", "study_places", "study_estimate", "study_chart", "study")
    _css = sheet()
    offer = traitlets.Dict().tag(sync=True)
    measuring = traitlets.Dict().tag(sync=True)
    estimate = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    knobs = traitlets.Dict().tag(sync=True)
    budget = traitlets.Dict().tag(sync=True)
    results = traitlets.Dict().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)

    def changed(self, news: Mapping[str, Any]) -> None:
        """Shows what changed, and sends a table when there is another one."""
        super().changed(news)
        table = self.screen.page_table
        if "table" in news and table is not None:
            about = {"table": table.head, "ref": news["table"]["ref"], "code": _page_code()}
            self.send(about, [table.numbers])


@functools.cache
def _page_code() -> str:
    """Returns the module that computes estimates in the page; it comes with the table."""
    return (STATIC / "estimate.js").read_text("utf-8")


def show_study(study: Study, *, is_readonly: bool = False) -> StudyWidget:
    """Returns the explorer of a study."""
    root = study.store.home.root

    def make() -> StudyWidget:
        return StudyWidget(StudyScreen(Workspace(root), study, is_readonly=is_readonly))

    panel: Any = shelf().get((str(root), study.ref, str(is_readonly)), make)
    panel.screen.attach(study)
    shown: StudyWidget = panel
    return shown
