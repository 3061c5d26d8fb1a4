"""The docs are tested: reference current, every plug-in, setting, command and error in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract import reference
from workbench.core.errors import WorkbenchError, error_types
from workbench.flow import plugin_kinds

ROOT = Path(__file__).parents[2]


def test_the_reference_is_current():
    assert reference.PATH.read_text(encoding="utf-8") == reference.reference(), "run: make docs"


@pytest.mark.parametrize("kind", plugin_kinds.kinds())
def test_every_plugin_and_option_says_what_it_is(kind):
    registry = plugin_kinds.registry(kind)
    assert registry.keys()
    silent = []
    for key in registry:
        plugin = registry.get(key)
        silent += [key] if not plugin.summary else []
        fields = plugin.Config.model_fields.items()
        silent += [f"{key}.{name}" for name, field in fields if not field.description]
    assert not silent


def test_every_folder_of_plugins_is_listed():
    found = {
        match.group(1)
        for path in (ROOT / "workbench").rglob("__init__.py")
        if (match := re.search(r'Registry\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    }
    assert found - {"panels"} == set(plugin_kinds.kinds())


def subclasses(cls):
    for sub in cls.__subclasses__():
        if sub.__module__.startswith("workbench."):
            yield sub
            yield from subclasses(sub)


def test_every_error_says_what_it_means_and_has_a_code_of_its_own():
    reference.reference()
    errors = [WorkbenchError, *dict.fromkeys(subclasses(WorkbenchError))]
    assert all(cls.__doc__ for cls in errors)
    codes = [cls.code for cls in errors]
    assert len(codes) == len(set(codes)) == len(error_types())


def test_every_setting_is_documented():
    names = {
        name
        for path in (ROOT / "workbench").rglob("*.py")
        for name in re.findall(r"WORKBENCH_[A-Z0-9_]+", path.read_text(encoding="utf-8"))
    }
    assert names <= set(reference.SETTINGS)
