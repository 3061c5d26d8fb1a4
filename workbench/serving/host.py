"""What a host is: it starts endpoint processes somewhere and stops them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.plugins import Plugin
from workbench.serving.discovery import EndpointInfo


@dataclass(frozen=True)
class Order:
    """What is to be served, as handed to a host.

    Attributes:
        refs: Registry refs, artifact digests or .onnx files.
        home: The workspace.
        name: Name for the only ref; None for its own.
        port: 0 lets the system choose.
        id: The endpoint's id; None makes one.
        config: Options of the host.
        options: Further arguments of `workbench serve`.
    """

    refs: tuple[str, ...]
    home: Path
    name: str | None = None
    port: int = 0
    id: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()


class Host(Plugin):
    """Runs endpoints on one sort of place."""

    def supports(self) -> str | None:
        """Returns why it cannot start anything here, in words; None if it can."""
        return None

    @abstractmethod
    def start(self, order: Order, *, timeout_s: float = 60.0) -> EndpointInfo:
        """Starts an endpoint and returns when it is ready: when its models have answered.

        Raises:
            WorkbenchError: The endpoint's own reason why it did not start.
        """

    @abstractmethod
    def stop(self, info: EndpointInfo, *, timeout_s: float = 30.0) -> None:
        """Ends an endpoint after it has answered what it owes; nothing happens if it is gone."""
