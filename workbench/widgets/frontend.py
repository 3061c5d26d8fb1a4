"""Where we are shown: whether widgets can run, and the outputs that fit."""

from __future__ import annotations

import base64
import html
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol

from workbench.core.errors import StateError, WorkbenchError
from workbench.core.kernel import kernel_shell
from workbench.core.shown import Panel
from workbench.flow.batch import is_batch

Output = tuple[dict[str, Any], dict[str, Any]]
_WIDGET = "application/vnd.jupyter.widget-view+json"
# JupyterLab shows a widget whose model is gone as an error, also when the same output holds a
# picture. So the twin has outputs of its own after the widget's, and these rules hide the twin
# once the panel is live (its view is inside), and the widget's output as long as it is not. While
# it is still loading the twin waits two seconds, so that nothing jumps. Where style sheets do not
# come through, the twin is simply there.
_CHILD, _TWIN = ".jp-OutputArea-child", "> .jp-OutputArea-output .wb-twin"
_LIVE = f"{_CHILD}:has(> .lm-Panel.jp-OutputArea-output > .lm-Widget)"
_LOADING = (
    f"{_CHILD}:has(> .lm-Panel.jp-OutputArea-output:not(.jupyter-widgets))"
    ":not(:has(> .jp-OutputArea-output > *))"
)
_GONE = f"{_CHILD}:has(> .jp-OutputArea-output.jupyter-widgets)"


def _before_a_twin(output: str) -> str:
    return f"{output}:has(+ {_CHILD} .wb-twin),{output}:has(+ {_CHILD} + {_CHILD} .wb-twin)"


def _twin_after(output: str) -> str:
    return (
        f"{output} + {_CHILD}:has({_TWIN}),{output} + {_CHILD}:has(+ {_CHILD} .wb-twin),"
        f"{output} + {_CHILD} + {_CHILD}:has({_TWIN})"
    )


_STYLE = (
    f"{_twin_after(_LIVE)},{_before_a_twin(_LOADING)},{_before_a_twin(_GONE)}{{display:none}}"
    f"{_twin_after(_LOADING)}{{animation:wb-twin 1ms 2s both}}"
    "@keyframes wb-twin{from{max-height:0;overflow:hidden;visibility:hidden}}"
)


class Twin(Protocol):
    """What stands for a record where no widgets run."""

    @property
    def label(self) -> str:
        """What its pictures show."""
        ...

    def html(self, *, has_pictures: bool = True) -> str:
        """Returns it as HTML."""
        ...

    def png(self) -> tuple[bytes, int] | None:
        """Returns its pictures as PNG and the width to show them at."""
        ...


class CellPanel(Panel):
    """Shows a record in a cell: a live panel where one can run, with a static twin beside it.

    Attributes:
        is_live: Whether there is a live panel.
    """

    is_live: ClassVar[bool] = True

    @abstractmethod
    def twin(self, record: Any) -> Twin:
        """Returns what stands for the record where no widgets run."""

    def live(self, record: Any) -> Any:
        """Returns the live panel."""

    def card(self, record: Any) -> str:
        """Returns the twin as HTML."""
        return self.twin(record).html()

    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns the live panel, with its twin beside it."""
        return bundle(record, self.twin, self.live if self.is_live else None)

    def show(self, record: Any) -> None:
        """Shows the live panel, if there is one, and what remains of it without a kernel."""
        show(record, self.twin, self.live if self.is_live else None)


def has_widgets() -> bool:
    """Returns whether this process is a kernel that somebody may look at."""
    return not is_batch() and kernel_shell() is not None


def bundle(
    record: Any, card: Callable[[Any], Twin], live: Callable[[Any], Any] | None
) -> dict[str, Any]:
    """Returns what a front end shows of a record in one output, by MIME type.

    Args:
        record: The record.
        card: Makes its static twin.
        live: Makes its live panel; None if it has none.
    """
    try:
        shown = {"text/plain": repr(record), "text/html": card(record).html()}
        return {**shown, **(_widget(live(record)) if live is not None and has_widgets() else {})}
    except WorkbenchError as error:
        return _error(error)


def show(
    record: Any, card: Callable[[Any], Twin], live: Callable[[Any], Any] | None = None
) -> None:
    """Shows a record as the outputs of a cell: its live panel, and what remains without a kernel.

    Args:
        record: The record.
        card: Makes its static twin.
        live: Makes its live panel; None if it has none.

    Raises:
        NotImplementedError: This is no kernel: then IPython shows the record as text.
    """
    shell = kernel_shell()
    if shell is None:
        raise NotImplementedError
    try:
        for data, metadata in _outputs(record, card, live if not is_batch() else None):
            shell.display_pub.publish(data=data, metadata=metadata)
    except WorkbenchError as error:
        shell.display_pub.publish(data=_error(error))


def model_id(record: Any) -> str:
    """Returns the id of a record's live panel, by which a page that lost its kernel shows it.

    Raises:
        StateError: No panel can run here.
    """
    shown = record._repr_mimebundle_().get(_WIDGET)
    if shown is None:
        raise StateError("No panel can run in this kernel.", hint="Run the cell again.")
    return str(shown["model_id"])


def error_card(error: WorkbenchError) -> str:
    """Returns an error as HTML: what, why, what to do."""
    problems = "".join(f"<li>{html.escape(text)}</li>" for text in error.problems)
    return (
        '<div role="alert" style="border-left:4px solid #D55E00;padding:8px 12px;'
        'font-family:var(--jp-ui-font-family,system-ui,sans-serif)">'
        f"<b>✕ {html.escape(error.message)}</b>{f'<ul>{problems}</ul>' if problems else ''}"
        f"<div>{html.escape(error.hint)}</div></div>"
    )


def _outputs(
    record: Any, card: Callable[[Any], Twin], live: Callable[[Any], Any] | None
) -> Iterator[Output]:
    """Yields the panel, which is on the page before its twin is drawn, then the twin."""
    words = repr(record)
    if live is not None:
        yield {"text/plain": words, **_widget(live(record))}, {}
        words = ""
    twin = card(record)
    drawn = twin.png()
    if drawn is not None:  # GitHub shows PNG, and nothing that is inside HTML
        png, width = drawn
        data = {"image/png": base64.b64encode(png).decode(), "text/plain": twin.label}
        yield data, {"image/png": {"width": width, "alt": twin.label}}
    facts = twin.html(has_pictures=False)
    if live is not None:
        facts = f'<div class="wb-twin"><style>{_STYLE}</style>{facts}</div>'
    yield {"text/html": facts, "text/plain": words}, {}


def _widget(panel: Any) -> dict[str, Any]:
    return {_WIDGET: {"version_major": 2, "version_minor": 0, "model_id": panel.model_id}}


def _error(error: WorkbenchError) -> dict[str, Any]:
    return {"text/plain": str(error), "text/html": error_card(error)}
