"""What a family is: a named way to build a network from options, a sample shape and outputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.core.plugins import Plugin
from workbench.core.signature import TensorSpec, is_plain
from workbench.tasks import TASKS
from workbench.tasks._task import Form

if TYPE_CHECKING:
    from torch import nn

_FORMS = {"vector": "a vector for a whole sample", "places": "something at every place of it"}


class Family(Plugin):
    """Base of every family. A network takes normalised float32 [batch, *sample_shape].

    It gives float32 [batch, outputs], or [batch, outputs, *places]: what the task says.

    Attributes:
        rate: The learning rate of AdamW that suits it, unless the user gives one.
        form: Whether it answers a vector a sample, or something at every place of it.
    """

    rate: ClassVar[float] = 2e-3
    form: ClassVar[Form] = "vector"

    def fits(self, inputs: Sequence[TensorSpec], task: str) -> str | None:
        """Returns why data with these tensors, or the task, do not fit; None if they fit."""
        if is_plain(inputs):
            return self.supports(inputs[0].sample_shape, task)  # type: ignore[arg-type]
        got = ", ".join(f"{spec.name} {spec.words}" for spec in inputs)
        return f"{self.key} takes one float32 tensor of one shape, got {got}."

    def supports(self, sample_shape: tuple[int, ...], task: str) -> str | None:
        """Returns why samples of this shape, or the task, do not fit; None if they fit."""
        wanted = TASKS.get(task).form
        if wanted != self.form:
            return (
                f"{self.key} answers {_FORMS[self.form]}; the task '{task}' needs {_FORMS[wanted]}."
            )
        return self.shape_reason(sample_shape)

    @abstractmethod
    def shape_reason(self, sample_shape: tuple[int, ...]) -> str | None:
        """Returns why samples of this shape do not fit, and which do; None if they fit."""

    @abstractmethod
    def build(self, config: Any, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns a freshly initialised network (drawn from torch's random state).

        Args:
            config: An instance of this family's `Config`.
            sample_shape: Shape of one prepared sample, without the batch.
            outputs: Numbers in an answer, at each place if it answers places.
        """


def image_reason(family: str, sample_shape: tuple[int, ...], smallest: int) -> str | None:
    """Returns why `sample_shape` is not an image that `family` can take; None if it is.

    Args:
        family: Name for the message.
        sample_shape: Shape of one sample; an image is (channels, height, width).
        smallest: Least height and width in pixels.
    """
    if len(sample_shape) != 3:
        return (
            f"{family} takes images of shape (channels, height, width), got samples of shape "
            f"{sample_shape}; for tables take 'mlp' or 'linear'."
        )
    if min(sample_shape[1:]) < smallest:
        return (
            f"{family} takes images of at least {smallest}×{smallest} pixels, got "
            f"{sample_shape[1]}×{sample_shape[2]}; for smaller ones take 'mlp' or 'linear'."
        )
    return None


def size_reason(sample_shape: tuple[int, ...]) -> str | None:
    """Returns why `sample_shape` holds no values; None if it does."""
    if not sample_shape or min(sample_shape) < 1:
        return f"samples of shape {sample_shape} hold no values; at least one feature is needed."
    return None
