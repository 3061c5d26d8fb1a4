"""What goes into an image."""

from __future__ import annotations

import sys
from pathlib import PurePosixPath

from pydantic import Field

from workbench.core.config import Config

PORT = 8000
SECRET = PurePosixPath("/run/secrets/workbench_token")


class ContainerConfig(Config):
    """How the image is made."""

    keep: int = Field(
        3, ge=1, description="Versions for each alias, so that it can be rolled back inside"
    )
    base: str = Field(
        f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",
        min_length=1,
        description="Image to start from; the Python that the requirements were pinned for",
    )
    packages: tuple[str, ...] = Field(
        (), description="Further installed packages to pin, as pyjwt for --jwks"
    )
    replicas: int = Field(2, ge=1, description="Pods that the Kubernetes manifest asks for")
    engine: str | None = Field(
        None, description="docker or podman; by default the first that answers"
    )
