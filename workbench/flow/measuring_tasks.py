"""What a measuring worker can be asked to do; the same in its process and inline.

A task is JSON: {"task": name, …}; so is its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.compression.growing import Refused
from workbench.compression.recipe import parse
from workbench.compression.study import StudyEngine
from workbench.core.errors import RunFailedError, WorkbenchError, unknown_name
from workbench.core.storage import storage_error
from workbench.store import Context

Task = Callable[[StudyEngine, Mapping[str, Any], Context], dict[str, Any]]


def perform(engine: StudyEngine, task: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Returns the answer to a task.

    Raises:
        WorkbenchError: Whatever the task raises; what nobody foresaw is a `RunFailedError`.
    """
    name = str(task.get("task"))
    if name not in _TASKS:
        raise unknown_name("task", name, _TASKS)
    try:
        return _TASKS[name](engine, task, context)
    except WorkbenchError:
        raise
    except Exception as error:
        if (told := storage_error(error, root=engine.store.home.root)) is not None:
            raise told from error
        raise RunFailedError(
            f"Measuring failed unexpectedly: {type(error).__name__}: {error}",
            hint="The traceback is in measuring.log in the workspace, or above in batch.",
            context={"task": name},
        ) from error


def _measure(engine: StudyEngine, task: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return {"measured": engine.measure(parse(task["recipe"]), context).to_json()}


def _trial(engine: StudyEngine, task: Mapping[str, Any], context: Context) -> dict[str, Any]:
    found = engine.trial(parse(task["recipe"]), float(task["max_drop"]), context)
    return {"refused" if isinstance(found, Refused) else "measured": found.to_json()}


def _compare(engine: StudyEngine, task: Mapping[str, Any], context: Context) -> dict[str, Any]:
    measured = engine.measure(parse(task["recipe"]), context)
    return {"compared": engine.compare(measured, context).to_json()}


_TASKS: dict[str, Task] = {
    "measure": _measure,
    "trial": _trial,
    "compare": _compare,
}
