"""Hosts: one file each, named by where endpoints run."""

from workbench.core.plugins import Registry
from workbench.serving.host import Host

HOSTS: Registry[Host] = Registry("hosts", __name__, Host)  # type: ignore[type-abstract]

__all__ = ["HOSTS"]
