from __future__ import annotations

import datetime
import decimal
import math
import re

import numpy as np
import pytest

from workbench.data.cells import days, from_days, is_missing, plain, to_moment, to_number, to_text


def test_plain_values_of_all_sorts():
    import pandas as pd

    assert plain(np.int64(3)) == 3
    assert plain(np.float32(0.5)) == 0.5
    assert plain(np.bool_(True)) is True
    assert plain(decimal.Decimal("1.5")) == 1.5
    assert plain(pd.Timestamp("2024-01-02 03:04")) == "2024-01-02 03:04:00"
    assert plain(datetime.date(2024, 1, 2)) == "2024-01-02"
    for nothing in (None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT")):
        assert plain(nothing) is None


@pytest.mark.parametrize("cell", [None, "", " ", "NA", "n/a", "NaN", "null", "缺失", "?"])
def test_missing(cell):
    assert is_missing(cell)
    assert math.isnan(to_number(cell))
    assert to_text(cell) is None
    assert to_moment(cell, "iso") is None


def test_zero_and_false_are_not_missing():
    assert not is_missing(0)
    assert not is_missing(False)


def test_texts_of_the_same_thing_are_the_same():
    assert {to_text(cell) for cell in (3, 3.0, "3", " 3 ")} == {"3"}
    assert {to_text(cell) for cell in (True, "True", "TRUE", "true")} == {"true"}


def test_moments():
    assert to_moment("2024年3月5日", "%Y年%m月%d日") == datetime.datetime(2024, 3, 5)
    assert to_moment("2024-03-05T10:00+02:00", "iso") == datetime.datetime(2024, 3, 5, 8)
    assert days(datetime.datetime(2000, 1, 2, 12)) == 1.5
    assert from_days(1.5) == datetime.datetime(2000, 1, 2, 12)
    with pytest.raises(ValueError, match="20240305"):
        to_moment(20240305, "iso")


@pytest.mark.parametrize("cell", ["inf", float("inf"), "12a", "1,5", "1e300", -4e38, 10**400])
def test_what_is_no_number(cell):
    with pytest.raises(ValueError, match=re.escape(str(cell))):
        to_number(cell)
