"""The compression methods. A new one is a new file here."""

from workbench.compression.method import Method
from workbench.core.plugins import Registry

METHODS: Registry[Method] = Registry("methods", __name__, Method)
