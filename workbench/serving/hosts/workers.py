"""Several processes on this machine behind one port, for models that one core cannot serve."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.host import usable_cores
from workbench.serving.discovery import EndpointInfo
from workbench.serving.host import Host, Order
from workbench.serving.hosts.local import Local


class WorkersConfig(BaseConfig):
    """How many processes answer."""

    workers: int | None = Field(
        None, ge=1, le=256, description="Processes behind the port; by default one for each core"
    )


class Workers(Host):
    """A supervisor that starts the workers, and starts again what is killed."""

    summary = "Several processes on this machine behind one port; a killed one comes back"
    Config: ClassVar[type[BaseConfig]] = WorkersConfig

    def __init__(self) -> None:
        self._local = Local()

    def start(self, order: Order, *, timeout_s: float = 60.0) -> EndpointInfo:
        """Starts the supervisor and waits until every worker is ready; see `Host.start`."""
        config = WorkersConfig.parse(order.config, what=f"host '{self.key}'")
        count = config.workers or max(2, usable_cores())
        return self._local.launch(order, ("--workers", str(count)), timeout_s=timeout_s)

    def stop(self, info: EndpointInfo, *, timeout_s: float = 30.0) -> None:
        """Ends all workers after they have answered what they owe."""
        self._local.stop(info, timeout_s=timeout_s)


PLUGIN = Workers()
