"""The options of the training loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workbench.core.config import Config
from workbench.engine.schedules import Schedule

_RATES = {"adamw": 2e-3, "sgd": 5e-2}


class FitConfig(Config):
    """How a network is fitted, whatever network and data it is."""

    epochs: int = Field(10, ge=1, le=100_000, description="Passes over the training split.")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum.")
    lr: float | None = Field(
        None, gt=0, description="Highest learning rate; by default what suits family and optimizer."
    )
    schedule: Schedule = Field("cosine", description="How the learning rate falls.")
    warmup: float = Field(
        0.1, ge=0, le=0.5, description="Share of all batches in which the rate rises from 0."
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Decoupled decay of weights; biases and norms are left alone."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd.")
    nesterov: bool = Field(True, description="Nesterov's momentum, for sgd.")
    grad_clip: float | None = Field(
        1.0, gt=0, description="Largest norm of all gradients together; null for no limit."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16 computes layers by autocast, faster only where the "
        "processor has it; weights stay float32.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all classes."
    )
    early_stopping: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation score."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Draws initial weights, order and dropout.")
    threads: int | None = Field(
        None, ge=1, description="Threads; by default all cores but one. Results depend on it."
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where to compute.")

    @property
    def rate(self) -> float:
        """The highest learning rate, the optimizer's own if none was given."""
        return _RATES[self.optimizer] if self.lr is None else self.lr
