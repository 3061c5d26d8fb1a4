"""Server processes that Ray places on the nodes of a cluster, behind one port here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from workbench.core.config import Config as BaseConfig
from workbench.core.errors import MissingDependencyError
from workbench.core.optional import is_installed
from workbench.serving.discovery import EndpointInfo
from workbench.serving.host import Host, Order
from workbench.serving.hosts.local import Local

_MODULE = "workbench.serving.cluster"
_NOTE = Path(tempfile.gettempdir()) / "ray" / "ray_current_cluster"
_START_S = 180.0


class RayConfig(BaseConfig):
    """How many replicas, and where."""

    replicas: int = Field(2, ge=1, le=1024, description="Server processes on the cluster")
    cpus: float = Field(1.0, ge=0, description="Processors that each replica reserves")
    address: str = Field("auto", description="Of the cluster, as HOST:PORT; auto finds it")


class Ray(Host):
    """Ray starts, watches and replaces the processes; requests go straight to them."""

    summary = (
        "Server processes on the nodes of a Ray cluster, behind one port; a lost one comes back"
    )
    requires: ClassVar[tuple[str, ...]] = ("ray",)
    extra: ClassVar[str | None] = "scale"
    Config: ClassVar[type[BaseConfig]] = RayConfig

    def __init__(self) -> None:
        self._local = Local()

    def supports(self) -> str | None:
        """Returns why nothing can be started here; None if there is a cluster."""
        if not is_installed("ray"):
            return "Ray is not installed"
        if "RAY_ADDRESS" not in os.environ and not _is_trusted(_NOTE):
            return "no Ray cluster runs here; `ray start --head` starts one"
        return None

    def start(self, order: Order, *, timeout_s: float = _START_S) -> EndpointInfo:
        """Starts the endpoint and waits until every replica is ready; see `Host.start`.

        Raises:
            MissingDependencyError: Ray is not installed.
        """
        config = RayConfig.parse(order.config, what=f"host '{self.key}'")
        if not is_installed("ray"):
            raise MissingDependencyError(
                "Ray, needed for placing replicas, is not installed.",
                hint="Install it with: pip install 'maas-workbench[scale]'",
            )
        further = ["--replicas", str(config.replicas), "--cpus", str(config.cpus)]
        further += ["--ray-address", config.address]
        return self._local.launch(order, tuple(further), timeout_s=timeout_s, module=_MODULE)

    def stop(self, info: EndpointInfo, *, timeout_s: float = 60.0) -> None:
        """Ends all replicas after they have answered what they owe."""
        self._local.stop(info, timeout_s=timeout_s)


def _is_trusted(note: Path) -> bool:
    """Returns whether a cluster's note is there and of us or of root: anybody can leave one."""
    try:
        owner = note.lstat().st_uid
    except OSError:
        return False
    return os.name != "posix" or owner in (0, os.geteuid())


PLUGIN = Ray()
