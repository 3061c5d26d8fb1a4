"""What a family is: a named way to build a network from options, a sample shape and outputs."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.core.plugins import Plugin
from workbench.core.records import Task

if TYPE_CHECKING:
    from torch import nn


class Family(Plugin):
    """Base of every family. A network takes normalised float32 [batch, *sample_shape].

    It gives float32 [batch, outputs]: logits by class, or one value for regression.

    Attributes:
        rate: The learning rate of AdamW that suits it, unless the user gives one.
    """

    rate: ClassVar[float] = 2e-3

    @abstractmethod
    def supports(self, sample_shape: tuple[int, ...], task: Task) -> str | None:
        """Returns why samples of this shape do not fit, and which do; None if they fit."""

    @abstractmethod
    def build(self, config: Any, sample_shape: tuple[int, ...], outputs: int) -> nn.Module:
        """Returns a freshly initialised network (drawn from torch's random state).

        Args:
            config: An instance of this family's `Config`.
            sample_shape: Shape of one prepared sample, without the batch.
            outputs: Number of classes, or 1 for regression.
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
