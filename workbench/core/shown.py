"""Records that show themselves: a record names its panel, panels live in a folder far above.

The folder is found by its name when a record is shown, so nothing here imports upward.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from workbench.core.plugins import Plugin, Registry


class Panel(Plugin):
    """Shows one kind of record. The plug-in's key is that kind."""

    @abstractmethod
    def card(self, record: Any) -> str:
        """Returns the static twin: self-contained HTML with a picture, at most 100 kB."""

    @abstractmethod
    def bundle(self, record: Any) -> dict[str, Any]:
        """Returns what Jupyter shows, by MIME type: the live panel where it can run."""

    def show(self, record: Any) -> None:
        """Shows a record in the notebook itself, in more than one output.

        Raises:
            NotImplementedError: It does not, or here is no notebook: `bundle` is taken.
        """
        raise NotImplementedError


PANELS: Registry[Panel] = Registry("panels", "workbench.widgets.panels", Panel)  # type: ignore[type-abstract]


class Shown:
    """Base of records that are shown by a panel as the last line of a cell."""

    shown_as: ClassVar[str]
    _store: Any

    @property
    def store(self) -> Any:
        """The store of the workspace that holds it."""
        return self._store

    def _repr_html_(self) -> str:
        return PANELS.get(self.shown_as).card(self)

    def _ipython_display_(self) -> None:
        PANELS.get(self.shown_as).show(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return PANELS.get(self.shown_as).bundle(self)
