from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.data.number_style import rewrite_numbers
from workbench.data.table_files import read_table


@pytest.mark.parametrize(
    ("separator", "cells", "plain"),
    [
        (";", ["17,99", "0,5", "-3", ""], ["17.99", "0.5", "-3", ""]),
        (",", ["17,99", "0,5", "12"], ["17.99", "0.5", "12"]),
        (";", ["1.234,5", "12.345.678,25", "7"], ["1234.5", "12345678.25", "7"]),
        (",", ["1,234.5", "12,345,678", "7"], ["1234.5", "12345678", "7"]),
        (",", ["1,234", "2,345", "7"], ["1234", "2345", "7"]),
        (";", ["1,234", "2,345", "7"], ["1.234", "2.345", "7"]),
        (";", ["1,5e-3", "NA", "?"], ["1.5e-3", "NA", "?"]),
        ("\t", ["+1,5", " 2,5 ", "3,5"], ["+1.5", "2.5", "3.5"]),
    ],
)
def test_numbers_of_other_countries(separator, cells, plain):
    columns = {"a": list(cells)}
    (found,) = rewrite_numbers(columns, separator, None)
    assert columns["a"] == plain
    assert found.kind == "number_style"
    assert f"{cells[0].strip()} → {plain[0]}" in found.message


@pytest.mark.parametrize(
    "cells",
    [
        ["Paris, France", "Rome, Italy"],
        ["1.5", "2.25", "3"],
        ["1,5 kg", "2,5 kg"],
        ["12.03.2024", "13.03.2024"],
        ["10,20,30", "1,2,3"],
        ["192.168.0.1", "10.0.0.1"],
        [",", "-,", "x"],
    ],
)
def test_what_is_no_such_number_stays(cells):
    columns = {"a": list(cells)}
    assert rewrite_numbers(columns, ";", None) == []
    assert columns["a"] == cells


def test_a_sure_column_settles_the_doubtful_ones():
    columns = {"sure": ["0,5", "1,25"], "doubtful": ["1,234", "2,345"], "dots": ["1.234", "12.500"]}
    rewrite_numbers(columns, ",", None)
    assert columns["doubtful"] == ["1.234", "2.345"]
    assert columns["dots"] == ["1234", "12500"]


def test_the_mark_can_be_said():
    columns = {"a": ["1,234", "2,345"]}
    assert rewrite_numbers(columns, ";", ".")
    assert columns["a"] == ["1234", "2345"]
    columns = {"a": ["1.234", "2.345"]}
    rewrite_numbers(columns, ";", ",")
    assert columns["a"] == ["1234", "2345"]


def test_a_column_with_few_odd_cells_keeps_those():
    columns = {"a": [*["0,5"] * 39, "broken"]}
    rewrite_numbers(columns, ";", None)
    assert columns["a"][-2:] == ["0.5", "broken"]


def test_a_mark_in_an_odd_cell_alone_changes_nothing():
    columns = {"sure": ["0,5", *["1,25"] * 39], "whole": [*["7"] * 39, "v1.2"]}
    (found,) = rewrite_numbers(columns, ";", None)
    assert columns["whole"][-2:] == ["7", "v1.2"]
    assert len(found.places) == 1


def test_as_pandas_reads_it(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(0, 1e4, 50).round(2), "b": rng.normal(0, 1, 50)})
    path = tmp_path / "t.csv"
    frame.to_csv(path, sep=";", decimal=",", index=False)
    expected = pd.read_csv(path, sep=";", decimal=",")
    columns = read_table(path, None, None).columns
    for name in frame:
        np.testing.assert_allclose([float(cell) for cell in columns[name]], expected[name])


def test_a_table_with_decimal_commas_is_loaded_as_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=80), "y": rng.normal(50, 9, 80)})
    frame.to_csv("t.csv", sep=";", decimal=",", index=False)
    data = wb.load("table", path="t.csv", target="y")
    assert data.task == "regression"
    assert [column.kind for column in data.preprocessing.columns] == ["number"]
    assert any("decimal comma" in finding.message for finding in data.findings)
