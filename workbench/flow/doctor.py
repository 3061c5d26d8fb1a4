"""What this machine and installation can do, and what is wrong with them, in words."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from workbench.compression.saturation import measure_saturation
from workbench.core.errors import MissingDependencyError, StorageError
from workbench.core.host import is_read_only, usable_cores
from workbench.core.storage import storage_error
from workbench.runtime.cpu import describe_cpu
from workbench.store import Store
from workbench.store.database import file_system
from workbench.store.findings import tampered

_LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "jupyterlab", "ipywidgets", "papermill")
_LITTLE_DISK = 2e9
_OTHERS = 0o077


def examine(opened: Callable[[], Store]) -> list[dict[str, Any]]:
    """Returns one row a finding: what, what was found, and whether it is fine.

    Args:
        opened: Opens the workspace; one that cannot be opened is a finding.
    """
    try:
        of_workspace = _workspace(opened())
    except StorageError as error:
        of_workspace = [_row("workspace", error.message, False, error.hint)]
    return [
        _row("python", platform.python_version(), sys.version_info >= (3, 11)),
        *(_library(name) for name in _LIBRARIES),
        _torch_build(),
        _row("cores", str(usable_cores()), True),
        _int8(),
        *of_workspace,
    ]


def _workspace(store: Store) -> list[dict[str, Any]]:
    return [
        _row("workspace", str(store.home.root), True),
        _row("file system", file_system(store.home.root) or "unknown", True),
        _access(store),
        _disk(store),
        *_stored(store),
    ]


def _row(what: str, found: str, is_fine: bool, advice: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "fine": "yes" if is_fine else "NO", "advice": advice}


def _library(name: str) -> dict[str, Any]:
    try:
        return _row(name, version(name), True)
    except PackageNotFoundError:
        return _row(name, "missing", False, f"pip install {name}")


def _torch_build() -> dict[str, Any]:
    try:
        found = version("torch")
    except PackageNotFoundError:
        return _row("torch build", "missing", False, "pip install maas-workbench")
    is_cpu = "+cpu" in found
    return _row(
        "torch build",
        "CPU" if is_cpu else "CUDA, or a build that does not say",
        True,
        "enough for everything here" if is_cpu else "",
    )


def _int8() -> dict[str, Any]:
    cpu = describe_cpu()
    try:
        tried = measure_saturation()
    except MissingDependencyError:
        return _row("int8", cpu.words, not cpu.saturates)
    except OSError as error:  # it is tried with files in the temporary folder
        told = storage_error(error) or error
        return _row("int8", f"{cpu.words}; not tried: {told}", False)
    return _row("int8", f"{cpu.words}; {tried.words}", not tried.full)


def _access(store: Store) -> dict[str, Any]:
    root = store.home.root
    if is_read_only(root):
        return _row("access", "it can only be read", True, "listing, verifying and serving work")
    if root.stat().st_mode & _OTHERS:
        return _row("access", "other users can look inside", False, f"chmod -R go= '{root}'")
    return _row("access", "yours alone", True)


def _disk(store: Store) -> dict[str, Any]:
    free = shutil.disk_usage(store.home.root).free
    return _row("free disk", f"{free / 1e9:.1f} GB", free > _LITTLE_DISK, "workbench gc frees some")


def _stored(store: Store) -> list[dict[str, Any]]:
    """Returns what is not what the workspace wrote, or that everything is."""
    found = [_row(item.kind, item.words, False, item.remedy) for item in tampered(store)]
    if found:
        return found
    entries = len(store.audit.entries())
    return [
        _row("audit log", f"{entries} entries, unbroken", True),
        _row("stored", "every record and file is what was written", True),
    ]
