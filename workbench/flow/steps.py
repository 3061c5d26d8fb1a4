"""The steps that can run in a process of their own, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.core.errors import unknown_name
from workbench.core.lazy import lazy
from workbench.store import Context, RunRecord, Store

if TYPE_CHECKING:
    from workbench.data import dataset as datasets
    from workbench.flow import importing, own_module
    from workbench.training import config as training_config
    from workbench.training import step as training_step
else:
    datasets = lazy("workbench.data.dataset")
    importing = lazy("workbench.flow.importing")
    own_module = lazy("workbench.flow.own_module")
    training_config = lazy("workbench.training.config")
    training_step = lazy("workbench.training.step")

Step = Callable[[Store, Context, RunRecord, Any], None]


def run_step(store: Store, context: Context, record: RunRecord, payload: Any) -> None:
    """Executes the step of a run.

    Args:
        store: The workspace.
        context: The run, as the step sees it.
        record: Its config and inputs.
        payload: What could not be stored: a module of the user's own.
    """
    if record.kind not in STEPS:
        raise unknown_name("step", record.kind, STEPS)
    STEPS[record.kind](store, context, record, payload)


def _train(store: Store, context: Context, record: RunRecord, payload: Any) -> None:
    dataset = datasets.open_dataset(store, record.inputs["data"])
    options = {k: v for k, v in record.config.items() if k != "needs_module"}
    config = training_config.TrainConfig.parse(options, what="train")

    def keep(result: Any) -> None:
        if result.artifact is None:
            own_module.save_own(store, context, result.module, result.description, dataset)

    keep(training_step.train(context, config, dataset, store, payload, on_stop=keep))


def _import(store: Store, context: Context, record: RunRecord, payload: Any) -> None:
    importing.run_import(store, context, record, payload)


STEPS: dict[str, Step] = {"train": _train, "import": _import}
