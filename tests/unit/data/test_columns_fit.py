from __future__ import annotations

import pytest

from workbench.data.columns import feature_names
from workbench.data.columns_fit import date_format, fit_column


def kind(cells, name="x", **options):
    return fit_column(name, cells, options)[0]


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2024-01-02", "2024-12-31"], "iso"),
        (["2024/1/2", "2024/12/31"], "%Y/%m/%d"),
        (["2024年1月2日"], "%Y年%m月%d日"),
        (["31.12.2024", "1.2.2024"], "%d.%m.%Y"),
        (["12/31/2024", "1/2/2024"], "%m/%d/%Y"),
        (["31/12/2024", "1/2/2024"], "%d/%m/%Y"),
        (["a", "b"], None),
        ([3, 4], None),
        ([], None),
    ],
)
def test_date_formats(cells, form):
    assert date_format(cells) == form


def test_kinds():
    assert kind(["1", "2.5", ""] * 10).kind == "number"
    assert kind(["a", "b"] * 10).kind == "category"
    assert kind([True, False] * 10).kind == "category"
    assert kind(["2024-01-02", "2024-01-03"] * 10).kind == "date"
    assert kind([1, 2] * 10, categorical=("x",)).categories == ("1", "2")
    assert kind([1, 2] * 10, ignore=("x",)).reason == "as asked"


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("x", [None, ""] * 10, "empty"),
        ("x", ["a"] * 20, "one value"),
        ("id", list(range(50)), "numbers the rows"),
        ("x", [f"text {i}" for i in range(50)], "text of its own"),
    ],
)
def test_columns_that_teach_nothing_are_left_out_and_told(name, cells, reason):
    column, (finding,) = fit_column(name, cells, {})
    assert column.kind == "ignored"
    assert reason in finding.message
    assert feature_names(column) == []


def test_nearly_all_numbers_are_numbers():
    column = kind([*range(99), "unknown"])
    assert (column.kind, column.fill, column.missing) == ("number", 49, True)
    assert kind([*range(50), *["unknown"] * 50]).kind == "category"


def test_feature_names_tell_what_they_are():
    column = kind(["a", "b", "a", None] * 5, name="city")
    assert feature_names(column) == ["city=a", "city=b", "city is missing"]
