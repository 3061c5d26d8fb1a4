"""Plug-ins: a folder is a kind, a file is a plug-in, its name is the key."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from abc import ABCMeta
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoints, entry_points
from typing import Any, ClassVar, Generic, TypeVar

from workbench.core.config import Config, NoConfig
from workbench.core.errors import InputError, unknown_name
from workbench.core.optional import is_installed

P = TypeVar("P", bound="Plugin")


class Plugin(metaclass=ABCMeta):  # noqa: B024 - each kind adds its abstract verbs
    """Base of every plug-in. A file defines one instance, named `PLUGIN`.

    Attributes:
        key: The file's name; set by the registry.
        summary: One line for lists, forms and docs.
        requires: Modules that must be installed; otherwise the plug-in shows as disabled.
        extra: The extra of this distribution that brings them.
        Config: Its options.
    """

    key: str = ""
    summary: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None
    Config: ClassVar[type[Config]] = NoConfig


@dataclass(frozen=True)
class PluginInfo:
    """A plug-in in a list. `reason` says why it cannot be used here; None if it can."""

    kind: str
    key: str
    summary: str
    reason: str | None


class Registry(Generic[P]):
    """All plug-ins of one kind: a folder of files, entry points and decorated classes.

    Args:
        kind: Plural name of the kind, as in "methods"; also the entry point group's last part.
        package: Dotted name of the folder.
        base: The class that each plug-in must be an instance of.
    """

    def __init__(self, kind: str, package: str, base: type[P]) -> None:
        self.kind = kind
        self.package = package
        self.base = base
        self._loaded: dict[str, P] = {}
        self._own: set[str] = set()
        _REGISTRIES.append(self)

    @property
    def singular(self) -> str:
        """The kind's name for one plug-in, as in "family" of "families"."""
        return re.sub("ie$", "y", self.kind.removesuffix("s"))

    def keys(self) -> list[str]:
        """Returns all keys, sorted, without importing any plug-in."""
        return sorted({*self._files(), *self._entry_points(), *self._loaded})

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def get(self, key: str) -> P:
        """Returns the plug-in `key`.

        Raises:
            NotFoundError: No such key; the message names the nearest.
            InputError: It is no text.
        """
        if not isinstance(key, str):
            raise InputError(
                f"Got {key!r:.60} for one of the {self.kind}; its key, a text, would be right.",
                hint=f"There are: {', '.join(self.keys())}.",
            )
        if key not in self._loaded:
            self._loaded[key] = self._load(key)
        return self._loaded[key]

    def add(self, key: str, plugin: P) -> P:
        """Registers a notebook's own `plugin` under `key`, or in place of its earlier state.

        Processes that this one starts have it, too.

        Raises:
            InputError: The key is taken or the object is not of this kind.
        """
        if key in self.keys() and key not in self._own:
            raise InputError(f"The {self.kind} key '{key}' is taken.", hint="Choose another key.")
        self._loaded[key] = self._checked(key, plugin)
        self._own.add(key)
        return plugin

    def own(self) -> dict[str, P]:
        """Returns the plug-ins that were added in this process, by key."""
        return {key: self._loaded[key] for key in sorted(self._own)}

    def plugin(self, key: str) -> Callable[[type[P]], type[P]]:
        """Returns a class decorator that registers an instance of the class under `key`."""

        def register(cls: type[P]) -> type[P]:
            self.add(key, cls())
            return cls

        return register

    def info(self, key: str) -> PluginInfo:
        """Returns the row of `key` for a list; a broken or missing plug-in gives its reason."""
        try:
            plugin = self.get(key)
        except ImportError as error:
            return PluginInfo(self.kind, key, "", f"cannot be imported: {error}")
        missing = [name for name in plugin.requires if not is_installed(name)]
        reason = None
        if missing:
            package = f"'maas-workbench[{plugin.extra}]'" if plugin.extra else " ".join(missing)
            reason = f"needs {', '.join(missing)}: pip install {package}"
        return PluginInfo(self.kind, key, plugin.summary, reason)

    def parse(self, key: str, values: dict[str, Any]) -> Any:
        """Returns the checked config of plug-in `key`."""
        return self.get(key).Config.parse(values, what=f"{self.singular} '{key}'")

    def _load(self, key: str) -> P:
        if key in self._files():
            module = importlib.import_module(f"{self.package}.{key}")
            return self._checked(key, module.PLUGIN)
        outside = self._entry_points()
        if key in outside:
            return self._checked(key, outside[key].load())
        raise unknown_name(self.singular, key, self.keys())

    def _checked(self, key: str, plugin: Any) -> P:
        if not isinstance(plugin, self.base):
            raise InputError(
                f"The {self.kind} plug-in '{key}' is a {type(plugin).__name__}, "
                f"not a {self.base.__name__}.",
                hint=f"Derive its class from {self.base.__module__}.{self.base.__name__}.",
            )
        plugin.key = key
        return plugin

    def _files(self) -> list[str]:
        folder = importlib.import_module(self.package).__path__
        modules = pkgutil.iter_modules(folder)
        return [m.name for m in modules if not m.ispkg and not m.name.startswith("_")]

    def _entry_points(self) -> dict[str, Any]:
        return {ep.name: ep for ep in _installed(f"workbench.{self.kind}")}


_REGISTRIES: list[Registry[Any]] = []


def own_plugins() -> list[tuple[str, str, Any]]:
    """Returns package of the registry, key and plug-in of all that this process added itself."""
    return [(r.package, key, plugin) for r in _REGISTRIES for key, plugin in r.own().items()]


def add_own(package: str, key: str, plugin: Any) -> None:
    """Adds a plug-in that another process had added to the registry of `package`."""
    importlib.import_module(package)
    next(r for r in _REGISTRIES if r.package == package).add(key, plugin)


def _installed(group: str) -> EntryPoints:
    """Returns a group of this environment's entry points."""
    found: EntryPoints = _all_installed().select(group=group)
    return found


@functools.cache
def _all_installed() -> Any:  # another type before Python 3.12, with the same `select`
    """Reads those of every package; that takes 50 ms, so once for all kinds."""
    return entry_points()
