"""Every kind of stored thing, changed behind the workspace's back, is named by who uses it."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from tests.unit.flow.tampering import fill
from tests.unit.flow.tampering_table import CASES, PLACES, QUICK
from workbench.core.errors import IntegrityError
from workbench.flow.cli.main import app
from workbench.flow.doctor import examine
from workbench.store.findings import CHECKS, tampered
from workbench.store.seals import KINDS

_FOLDERS_OF_NO_CONSEQUENCE = {"requests/", "scratch/"}


@pytest.fixture(scope="session")
def _template(_trained, tmp_path_factory):
    root, data, run = _trained
    copy = tmp_path_factory.mktemp("filled") / ".workbench"
    shutil.copytree(root, copy)
    return fill(copy, data, run)


@pytest.fixture
def filled(_template, tmp_path):
    shutil.copytree(_template.root, tmp_path / ".workbench")
    return dataclasses.replace(_template, root=tmp_path / ".workbench")


def _cases():
    for case in CASES:
        is_quick = f"{case.kind}: {case.how}" in QUICK
        yield pytest.param(case, id=case.name, marks=() if is_quick else pytest.mark.full)


@pytest.mark.parametrize("case", list(_cases()))
def test_what_was_tampered_with_is_named(case, filled):
    case.change(filled)
    if case.verb is not None:
        with pytest.raises(IntegrityError) as caught:
            case.verb(filled)
        assert re.search(case.words, caught.value.message), caught.value.message
        assert caught.value.hint
    found = list(tampered(filled.space.store))
    named = [item for item in found if re.search(case.words, item.words)]
    assert named, [item.words for item in found]
    assert all(item.remedy for item in found)


def test_nothing_is_named_where_nothing_was_tampered_with(filled):
    assert list(tampered(filled.space.store)) == []
    rows = {row["what"]: row for row in examine(lambda: filled.space.store)}
    assert rows["stored"]["fine"] == rows["audit log"]["fine"] == "yes"


@pytest.mark.parametrize("case", ["artifact: labels renamed", "file: labels shifted"])
def test_loading_the_same_again_puts_data_right(case, filled):
    next(item for item in CASES if f"{item.kind}: {item.how}" == case).change(filled)
    assert list(tampered(filled.space.store))
    assert filled.space.load("digits", split=(0.5, 0.25, 0.25)).ref == filled.data
    assert list(tampered(filled.space.store)) == []


def test_every_kind_and_every_place_has_a_row_in_the_table(filled):
    kinds = {case.kind for case in CASES}
    assert kinds == {*KINDS, *CHECKS, "key"}
    assert kinds - {"schema"} == set(PLACES.values())
    with closing(sqlite3.connect(filled.root / "workbench.db")) as outside:
        tables = outside.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    folders = {f"{path.name}/" for path in filled.root.iterdir() if path.is_dir()}
    places = {name for (name,) in tables if not name.startswith("sqlite_")} | folders
    assert places - _FOLDERS_OF_NO_CONSEQUENCE == set(PLACES)
    assert {f"{case.kind}: {case.how}" for case in CASES} >= QUICK


def test_doctor_and_audit_say_it_in_the_shell(filled, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(filled.root))
    with closing(sqlite3.connect(filled.root / "workbench.db")) as outside, outside:
        outside.execute("DROP TRIGGER audit_never_forgets")
        outside.execute("DELETE FROM audit WHERE id > 2")
    runner = CliRunner()
    assert "2 are left" in runner.invoke(app, ["doctor"], env={"COLUMNS": "300"}).stdout
    audit = runner.invoke(app, ["audit"])
    assert "register" in audit.stdout
    assert isinstance(audit.exception, IntegrityError) or audit.exit_code != 0
