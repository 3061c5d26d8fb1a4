"""An endpoint as a folder that a container engine builds: model, wheel, pinned requirements."""

from workbench.serving.container.config import ContainerConfig
from workbench.serving.container.context import Context, write_context

__all__ = ["ContainerConfig", "Context", "write_context"]
