"""A run: curves as they come, pause, stop, resume, other runs laid over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.core.errors import InputError, StateError
from workbench.flow.run import Run
from workbench.flow.workspace import Workspace
from workbench.screens import forms
from workbench.screens.commands import command
from workbench.screens.screen import Screen
from workbench.screens.showing import Field
from workbench.screens.views.run import RunView

_MOST_OTHERS = 8


class RunScreen(Screen):
    """Follows one run; in the app it also starts them.

    Args:
        workspace: The workspace.
        run: The run; None shows the form alone.
        has_form: Whether new runs are started here.
        on_study: Called with a run that shall be compressed.
        is_readonly: Whether nothing can be changed.

    Attributes:
        curves: By ref of each run shown, `epochs` and `batches`: float32 as base64.
        form: What a training can be made of.
    """

    period_s = 0.1
    curves: Field[dict[str, dict[str, str]]] = Field({})
    form: Field[dict[str, Any]] = Field({})

    def __init__(
        self,
        workspace: Workspace,
        run: Run | None = None,
        *,
        has_form: bool = False,
        on_study: Callable[[Any], None] | None = None,
        is_readonly: bool = False,
    ) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace = workspace
        self._on_study = on_study
        self._has_form = has_form
        self._view: RunView | None = None
        self._overlays: dict[str, RunView] = {}
        self.refresh()
        if run is not None:
            self.attach(run)

    def attach(self, run: Run) -> None:
        """Follows `run` from now on."""
        with self._turn:
            self._view, self._overlays = RunView(run), {}
            self._view.read()
        self._publish()
        self.follow()

    def look(self) -> bool:
        """Reads what is new of the run."""
        with self._turn:
            view = self._view
            if view is None:
                return False
            if view.read() or view.record.status in ("running", "created"):
                self._publish()
            return not view.record.is_finished

    @command()
    def do_pause(self) -> None:
        """Asks the run to pause within one batch."""
        self._run.pause()
        self.did(f'wb.run("{self._run.ref}").pause()', "pausing")

    @command()
    def do_stop(self) -> None:
        """Asks the run to stop within one batch."""
        self._run.stop()
        self.did(f'wb.run("{self._run.ref}").stop()', "stopping")

    @command()
    def do_resume(self) -> None:
        """Goes on."""
        self._run.resume()
        self.did(f'wb.run("{self._run.ref}").resume()', "going on")
        self.follow()

    @command()
    def do_train(self, data: str, family: str, options: dict[str, Any]) -> None:
        """Starts a training and follows it."""
        if not data:
            raise InputError("No data is chosen.", hint="Load some first; then choose it here.")
        run = self._workspace.train(data, family=family, **options)
        words = "".join(f", {name}={value!r}" for name, value in options.items())
        self.did(f'wb.train("{data}", family="{family}"{words})', "training started")
        self.attach(run)

    @command()
    def do_study(self) -> None:
        """Opens the study of the run's model: beside it in the app, else as the line to run."""
        self.did(f'wb.study("{self._run.ref}")', "run this line to compress the model")
        if self._on_study is not None:
            self._on_study(self._run)

    @command()
    def do_open(self, ref: str) -> None:
        """Follows another run."""
        self.attach(self._workspace.run(ref))
        self.did(f'wb.run("{ref}")')

    @command(is_for_visitors=True)
    def do_overlay(self, ref: str, is_shown: bool) -> None:
        """Lays another run's curves over, or takes them away."""
        self._overlays.pop(ref, None)
        if is_shown:
            view = RunView(self._workspace.run(ref))
            view.read()
            self._overlays[ref] = view
        self._publish()

    def refresh(self) -> None:
        """Looks for datasets that are new."""
        if self._has_form:
            self.form = forms.training_form(self._workspace)

    @property
    def _run(self) -> Run:
        if self._view is None:
            raise StateError("No run is shown.", hint="Start one, or give one: wb.run(ref).")
        return self._view.run

    def _publish(self) -> None:
        view = self._view
        if view is None:
            return
        shown = [view, *self._overlays.values()]
        others = self._others(view.record.id)
        state = view.state() | {"shown": [v.run.ref for v in shown], "others": others}
        with self.together():
            before = self.facts.get("status")
            self.curves = {v.run.ref: v.curves() for v in shown}
            self.facts = state
            if before not in (None, state["status"]):
                self.said = f"{state['title']}: {state['status']}"

    def _others(self, own: str) -> list[dict[str, str]]:
        runs = [r for r in self._workspace.store.runs.list("train", _MOST_OTHERS) if r.id != own]
        return [{"ref": r.ref, "label": _label(r)} for r in runs]


def _label(record: Any) -> str:
    scores = [v for k, v in record.metrics.items() if k.startswith("val_") and k != "val_loss"]
    score = f" {scores[0]:.3f}" if scores else ""
    return f"{record.config.get('family') or record.kind}{score} · {record.status} · {record.id}"
