"""The base of sources and the options that all of them share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import Field, field_validator

from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.plugins import Plugin
from workbench.core.refs import check_name
from workbench.data.augment import parse_augment
from workbench.data.collected import Reader
from workbench.store import Store


class SourceConfig(Config):
    """Options of every source. What holds the data itself is hashed, not saved."""

    name: str | None = Field(
        default=None, description="Name of the dataset; by default the source's own."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the split.")
    split: tuple[float, float, float] | None = Field(
        default=None,
        description="Fractions of train, val and test; 0.7, 0.15, 0.15 if none is given.",
    )
    augment: Any = Field(
        default=None,
        description="Changes made to training batches only, as in 'shift:1 + rotate:10', "
        "or a list of mappings with 'kind'.",
    )

    @property
    def fractions(self) -> tuple[float, float, float] | None:
        """The fractions asked for; None if none were."""
        return self.split if isinstance(self.split, tuple) else None

    @field_validator("name")
    @classmethod
    def _checked_name(cls, value: str | None) -> str | None:
        return None if value is None else check_name(value, what="a dataset")

    @field_validator("augment")
    @classmethod
    def _checked_augment(cls, value: Any) -> Any:
        try:
            return [step.to_json() for step in parse_augment(value)] or None
        except (InputError, NotFoundError) as error:
            raise ValueError("; ".join(error.problems) or error.message) from error


class Source(Plugin):
    """Finds data. `open` is cheap and touches nothing; the reader it returns does the work."""

    Config: ClassVar[type[Config]] = SourceConfig

    @abstractmethod
    def open(self, config: Any, store: Store) -> Reader:
        """Returns a reader of what `config` names.

        Args:
            config: An instance of this source's `Config`.
            store: For caches of fingerprints and for scratch files.
        """
