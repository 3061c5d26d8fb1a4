"""Training inside a compression method: the one loop of `engine`, on the train split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.compression.tools import Tools
from workbench.core import optional

if TYPE_CHECKING:
    from torch import nn

_FOR = "fine-tuning"
_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES_AN_EPOCH = 16, 128, 24


def fine_tune(
    module: nn.Module, tools: Tools, epochs: int, lr: float, note: str, *, loss: Any = None
) -> None:
    """Trains `module` in place; it then holds the weights of the last epoch.

    The validation split is left alone: it scores the variant, so nothing may be chosen by it.

    Args:
        module: The network.
        tools: Data, seed, progress, stop and pause.
        epochs: Passes over the training split; 0 does nothing.
        lr: Highest learning rate.
        note: What the progress says.
        loss: Of outputs and targets; by default the study's, else that of the task.
    """
    if not epochs:
        return
    loop = optional.require("workbench.engine.loop", for_=_FOR)
    fit_config = optional.require("workbench.engine.config", for_=_FOR).FitConfig
    train = tools.data.train
    size = min(max(len(train) // _BATCHES_AN_EPOCH, _SMALLEST_BATCH), _LARGEST_BATCH)

    def batches(epoch: int) -> Any:
        tools.context.progress(epoch, epochs, note)
        return train.batches(size, seed=loop.epoch_seed(tools.seed, epoch))

    loop.fit(
        module,
        batches,
        None,
        fit_config(epochs=epochs, lr=lr, seed=tools.seed),
        task=tools.data.task,
        context=tools.context,
        loss=loss or tools.loss,
        steps_per_epoch=-(-len(train) // size),
    )
