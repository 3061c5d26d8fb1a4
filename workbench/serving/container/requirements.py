"""What serving needs of what is installed here, each pinned to its version."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

from workbench.core.errors import NotFoundError
from workbench.core.optional import require
from workbench.data.modalities import MODALITIES

# What an endpoint's process and `workbench serve` import; a test runs them with these alone.
SERVING = (
    "cryptography",
    "httptools",
    "numpy",
    "onnxruntime",
    "orjson",
    "pillow",
    "pydantic",
    "pysimdjson",
    "typer",
    "uvloop",
)


def pinned(further: Iterable[str] = ()) -> list[str]:
    """Returns `name==version` of the packages of serving and all that these need, sorted.

    Args:
        further: Packages beside those of serving.

    Raises:
        NotFoundError: One of them is not installed here.
    """
    found: dict[str, str] = {}
    waiting = [*SERVING, *further]
    while waiting:
        name = _normal(waiting.pop())
        if name not in found:
            found[name], needed = _installed(name)
            waiting += needed
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def needed_by(modalities: Iterable[str]) -> list[str]:
    """Returns the packages that these modalities decode with, beside those of serving."""
    modules = {name for key in modalities for name in MODALITIES.get(key).requires}
    if not modules:
        return []
    packages = packages_distributions()
    return sorted({packages.get(name, [name])[0] for name in modules})


def _installed(name: str) -> tuple[str, list[str]]:
    """Returns a package's version and the names of what it needs here."""
    requirements = require("packaging.requirements", for_="pinning requirements")
    try:
        found = distribution(name)
    except PackageNotFoundError as error:
        raise NotFoundError(
            f"The package '{name}' is not installed here, so it cannot be pinned.",
            hint=f"pip install {name}",
        ) from error
    parsed = [requirements.Requirement(text) for text in found.requires or ()]
    needed = [r.name for r in parsed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found.version, needed


def _normal(name: str) -> str:
    """Returns a name as packages are compared by (PEP 503)."""
    return name.lower().replace("_", "-").replace(".", "-")
