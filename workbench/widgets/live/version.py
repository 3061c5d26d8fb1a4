"""Registered versions in the notebook: promote, roll back, verify, compare with the champion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import traitlets

from workbench.core.errors import IntegrityError, StateError, WorkbenchError
from workbench.flow.version import ModelVersion
from workbench.flow.workspace import Workspace
from workbench.screens.views import version as view
from workbench.widgets.live.base import LivePanel, script, sheet
from workbench.widgets.live.door import command
from workbench.widgets.live.shelf import shelf


class VersionWidget(LivePanel):
    """Shows the versions of one model or of all.

    Attributes:
        notes: What was found or changed last, by version's ref.
        checks: What verifying found in this kernel, by version's ref: whether it is as registered,
            when, and in words.
    """

    _esm = script("version")
    _css = sheet()
    period = 2.0
    notes = traitlets.Dict().tag(sync=True)
    checks = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        selected: str | None = None,
        *,
        on_served: Callable[[Any], None] | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(**traits)
        self._workspace, self._name, self._served = workspace, name, on_served
        self.select(selected)

    def select(self, ref: str | None) -> None:
        """Looks at one version."""
        self._selected = ref
        self.look()
        self.follow()

    def look(self) -> bool:
        """Shows versions and aliases as they are now."""
        self.show(view.state(self._workspace, self._name, self._selected))
        return True

    @command(is_for_visitors=True)
    def do_select(self, ref: str) -> None:
        """Looks at one version."""
        self.select(ref)

    @command()
    def do_promote(
        self, ref: str, alias: str = "champion", force: bool = False, expected: int | None = None
    ) -> None:
        """Points an alias at a version, if it still points at what the page showed."""
        version = self._workspace.version(ref)
        before = self._workspace.store.models.alias(version.name, alias)
        self._workspace.promote(version.name, version, alias, force, expected=expected)
        own = f', alias="{alias}"' if alias != "champion" else ""
        undo = f' To undo: wb.rollback("{version.name}"{own})' if before else ""
        self._note(
            ref, f"'{alias}' moved from {_numbered(before)} to version {version.number}.{undo}"
        )
        options = (f', alias="{alias}"' if alias != "champion" else "") + (
            ", force=True" if force else ""
        )
        self.did(f'wb.promote("{version.name}", {version.number}{options})', f"{ref} is {alias}")

    @command()
    def do_rollback(self, name: str, alias: str = "champion") -> None:
        """Takes an alias back to the version before."""
        before = self._workspace.store.models.alias(name, alias)
        version = self._workspace.rollback(name, alias)
        words = (
            f"'{alias}' went back from version {before} to {version.number}; "
            f"{before} is revoked for it."
        )
        self._selected = version.ref
        self._note(version.ref, words + f' To undo: wb.promote("{name}", {before}, force=True)')
        self.did(
            f'wb.rollback("{name}"' + (f', alias="{alias}")' if alias != "champion" else ")"), words
        )

    @command()
    def do_verify(self, ref: str) -> None:
        """Re-hashes manifest and files and checks the signature."""
        self._check(ref)
        self._note(ref, self.checks[ref]["words"])
        self.did(f'wb.verify("{ref}")', f"{ref} verified")

    @command()
    def do_verify_all(self) -> None:
        """The same for each version in the table; goes on after one that fails."""
        failed = []
        for row in self.state["rows"]:
            try:
                self._check(row["ref"])
            except WorkbenchError as error:
                failed.append(error.message)
        if failed:
            raise IntegrityError(
                f"{len(failed)} of {len(self.state['rows'])} versions are not what was registered.",
                problems=failed,
                hint="Roll back to a version that verifies.",
            )
        self.did("[wb.verify(v) for v in wb.models()]", "all versions verified")

    @command()
    def do_serve(self, ref: str) -> None:
        """Starts an endpoint that serves this version, or follows its alias if it has one."""
        version = self._workspace.version(ref)
        model = f"model:{version.name}@{version.aliases[0]}" if version.aliases else ref
        endpoint = self._workspace.serve(model)
        self._note(ref, f'served; wb.endpoint("{endpoint.ref}") shows it')
        self.did(f'wb.serve("{model}")', f"{model} is served")
        if self._served is not None:
            self._served(endpoint)

    def _check(self, ref: str) -> None:
        at = f"{datetime.now().astimezone():%H:%M}"
        try:
            version = self._workspace.verify(ref)
        except WorkbenchError as error:
            found = {"is_good": False, "at": at, "words": f"✕ {error.message}"}
            self.checks = {**self.checks, ref: found}
            raise
        count = len(version.manifest["files"])
        words = f"✓ manifest, {count} file(s) and signature are what was registered"
        self.checks = {**self.checks, ref: {"is_good": True, "at": at, "words": words}}

    def _note(self, ref: str, words: str) -> None:
        if not ref:
            raise StateError("No version is selected.")
        with self._turn, self.hold_sync():
            self.notes = {**self.notes, ref: words}
            self.look()


def _numbered(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"


def show_version(version: ModelVersion) -> VersionWidget:
    """Returns the panel of a model's versions, with this one selected."""
    root = version.store.home.root

    def make() -> VersionWidget:
        return VersionWidget(Workspace(root), version.name, version.ref)

    panel: Any = shelf().get((str(root), f"model:{version.name}"), make)
    panel.select(version.ref)
    shown: VersionWidget = panel
    return shown
