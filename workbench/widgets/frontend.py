"""Where we are shown: whether widgets can run, and the bundle that fits."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from typing import Any

from workbench.core.errors import StateError, WorkbenchError
from workbench.flow.batch import is_batch

_WIDGET = "application/vnd.jupyter.widget-view+json"


def has_widgets() -> bool:
    """Returns whether this process is a kernel that somebody may look at."""
    interactive = sys.modules.get("IPython")
    shell = None if interactive is None else interactive.get_ipython()
    return not is_batch() and getattr(shell, "kernel", None) is not None


def bundle(
    record: Any, card: Callable[[Any], str], live: Callable[[Any], Any] | None
) -> dict[str, Any]:
    """Returns what Jupyter shows of a record, by MIME type.

    Args:
        record: The record.
        card: Makes its static twin.
        live: Makes its live panel; None if it has none.
    """
    shown: dict[str, Any] = {}
    try:
        shown["text/plain"] = repr(record)
        shown["text/html"] = card(record)
        if live is not None and has_widgets():
            shown[_WIDGET] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": live(record).model_id,
            }
    except WorkbenchError as error:
        shown = {"text/plain": str(error), "text/html": error_card(error)}
    return shown


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
