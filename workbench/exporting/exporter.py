"""What an exporter is: it turns a torch module into one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from workbench.core.plugins import Plugin
from workbench.core.records import Description

if TYPE_CHECKING:
    from torch import nn

    from workbench.core.batch import Batch


@dataclass(frozen=True)
class Written:
    """What an exporter wrote.

    Attributes:
        path: The file.
        exporter: What wrote it, as in "dynamo".
        batch_norms: Hints for the fold map: name of a weight → name of the BatchNorm that was
            folded into it, where the exporter knows.
        notes: What the user should know, each one a sentence.
    """

    path: Path
    exporter: str
    batch_norms: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Exporter(Plugin):
    """Base of the exporters, one file each in `exporters/`.

    Attributes:
        suffix: Of the file it writes.
    """

    suffix: ClassVar[str] = ""

    @abstractmethod
    def write(
        self, module: nn.Module, description: Description, samples: Batch, path: Path
    ) -> Written:
        """Writes `module` to `path`.

        Args:
            module: In evaluation mode.
            description: Names and shapes of its tensors.
            samples: Inputs of at least two rows.
            path: The file to write.

        Raises:
            ExportError: The module cannot be exported; the message names the line.
        """
