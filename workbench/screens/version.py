"""Registered versions: promote, roll back, verify, compare with the champion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from workbench.core.errors import IntegrityError, WorkbenchError
from workbench.flow.workspace import Workspace
from workbench.screens.commands import command
from workbench.screens.screen import Screen
from workbench.screens.showing import Field
from workbench.screens.views import version as view


class VersionScreen(Screen):
    """Shows the versions of one model or of all.

    Args:
        workspace: The workspace.
        name: Only this model.
        selected: Ref of the version looked at; by default the newest.
        on_served: Called with an endpoint that was started here.
        is_readonly: Whether nothing can be changed.

    Attributes:
        notes: What was found or changed last, by version's ref.
        checks: What verifying found in this kernel, by version's ref: whether it is as registered,
            when, and in words.
    """

    period_s = 2.0
    notes: Field[dict[str, str]] = Field({})
    checks: Field[dict[str, dict[str, Any]]] = Field({})

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        selected: str | None = None,
        *,
        on_served: Callable[[Any], None] | None = None,
        is_readonly: bool = False,
    ) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace, self._name, self._served = workspace, name, on_served
        self.select(selected)

    def select(self, ref: str | None) -> None:
        """Looks at one version."""
        self._selected = ref
        self.look()
        self.follow()

    def look(self) -> bool:
        """Shows versions and aliases as they are now."""
        self.facts = view.state(self._workspace, self._name, self._selected)
        return True

    @command(is_for_visitors=True)
    def do_select(self, ref: str) -> None:
        """Looks at one version."""
        self.select(ref)

    @command()
    def do_promote(
        self, ref: str, alias: str = view.CHAMPION, force: bool = False, expected: int | None = None
    ) -> None:
        """Points an alias at a version, if it still points at what the page showed."""
        version = self._workspace.version(ref)
        before = self._workspace.store.models.alias(version.name, alias)
        self._workspace.promote(version.name, version, alias, force, expected=expected)
        own = f', alias="{alias}"' if alias != view.CHAMPION else ""
        undo = f' To undo: wb.rollback("{version.name}"{own})' if before else ""
        self._note(
            ref, f"'{alias}' moved from {_numbered(before)} to version {version.number}.{undo}"
        )
        forced = ", force=True" if force else ""
        code = f'wb.promote("{version.name}", {version.number}{own}{forced})'
        self.did(code, f"{ref} is {alias}")

    @command()
    def do_rollback(self, name: str, alias: str = view.CHAMPION) -> None:
        """Takes an alias back to the version before."""
        before = self._workspace.store.models.alias(name, alias)
        version = self._workspace.rollback(name, alias)
        words = (
            f"'{alias}' went back from version {before} to {version.number}; "
            f"{before} is revoked for it."
        )
        self._selected = version.ref
        self._note(version.ref, words + f' To undo: wb.promote("{name}", {before}, force=True)')
        own = f', alias="{alias}"' if alias != view.CHAMPION else ""
        self.did(f'wb.rollback("{name}"{own})', words)

    @command()
    def do_verify(self, ref: str) -> None:
        """Re-hashes manifest and files and checks the signature."""
        self._check(ref)
        self._note(ref, self.checks[ref]["words"])
        self.did(f'wb.verify("{ref}")', f"{ref} verified")

    @command()
    def do_verify_all(self) -> None:
        """The same for every version; goes on after one that fails."""
        versions, failed = view.versions_of(self._workspace, self._name), []
        for version in versions:
            try:
                self._check(version.ref)
            except WorkbenchError as error:
                failed.append(error.message)
        if failed:
            raise IntegrityError(
                f"{len(failed)} of {len(versions)} versions are not what was registered.",
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
        with self.together():
            self.notes = {**self.notes, ref: words}
            self.look()


def _numbered(number: int | None) -> str:
    return "nothing" if number is None else f"version {number}"
