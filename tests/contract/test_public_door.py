"""The public door: every promised name is there, documented, with a signature a person can read."""

from __future__ import annotations

import inspect

import pytest

import workbench as wb

VERBS = (
    *("load", "train", "run", "study", "evaluate", "export", "register", "promote", "rollback"),
    *(
        "verify",
        "serve",
        "import_model",
        "endpoint",
        "endpoints",
        "models",
        "runs",
        "delete",
        "gc",
        "compress",
    ),
)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_a_documented_function(name):
    verb = getattr(wb, name)
    assert inspect.isfunction(verb)
    assert inspect.getdoc(verb)
    assert "self" not in inspect.signature(verb).parameters


@pytest.mark.parametrize("name", wb.__all__)
def test_every_public_name_resolves(name):
    assert getattr(wb, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'trian'"):
        wb.trian  # noqa: B018
