from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.modalities import MODALITIES
from workbench.data.rows import Rows

TABLE = MODALITIES.get("table")


@pytest.fixture
def config():
    rows = Rows(
        {
            "age": [20, 30, None, 50] * 10,
            "city": ["Paris", "北京", "Paris", None] * 10,
            "since": ["2020-01-01", "2021-06-15T12:30", None, "2022-03-04"] * 10,
            "vip": [True, False, True, True] * 10,
        }
    )
    fitted, _ = TABLE.fit(rows, None, {"skipped": ["churn"]})
    return MODALITIES.parse("table", fitted.to_json())


def test_features_in_order(config):
    row = {"age": 30, "city": "北京", "since": "2000-01-11", "vip": False}
    assert TABLE.decode(row, config).tolist() == [
        30, 0, 0, 1, 0, 10, 1, 1, 0, 0, 0, 1,
    ]  # fmt: skip
    assert TABLE.sample_shape(config) == (12,)


def test_rows_by_name_in_order_and_as_a_frame_are_the_same(config, wine):
    import pandas as pd

    named = {"age": 41.5, "city": "Paris", "since": "2021-01-01", "vip": True}
    frame = pd.DataFrame([named, named])
    expected = TABLE.decode(named, config)
    assert np.array_equal(TABLE.decode(list(named.values()), config), expected)
    assert np.array_equal(TABLE.decode(frame.iloc[0], config), expected)
    for batch in (frame, frame.to_dict("list"), [named, named]):
        samples = TABLE.split_batch(batch, config)
        assert np.array_equal(TABLE.decode_batch(samples, config), np.stack([expected] * 2))
    assert len(TABLE.split_batch(named, config)) == 1
    assert len(TABLE.split_batch(frame.iloc[0], config)) == 1


def test_text_as_from_a_csv_and_values_as_from_json_are_the_same(config):
    text = {"age": "41.5", "city": " Paris ", "since": "2021-01-01", "vip": "TRUE"}
    typed = {"age": 41.5, "city": "Paris", "since": "2021-01-01T00:00:00Z", "vip": True}
    assert np.array_equal(TABLE.decode(text, config), TABLE.decode(typed, config))


def test_missing_values_are_filled_by_train_and_marked(config):
    features = TABLE.decode({"city": "Rome"}, config)
    assert features[:2].tolist() == [30, 1]
    assert features[2:5].tolist() == [0, 0, 0]
    for nothing in (None, "", "NA", float("nan"), np.nan, "缺失"):
        assert TABLE.decode({"age": nothing, "city": "x"}, config)[1] == 1


def test_all_that_is_wrong_is_told_at_once(config):
    bad = [{"age": "old", "since": "now"}, {"agee": 3, "churn": 1}, [1, 2], 7, {}]
    with pytest.raises(InputError) as caught:
        TABLE.decode_batch(bad, config)
    text = str(caught.value)
    for words in (
        "row 1: unknown column 'agee'; did you mean 'age'?",
        "row 1: none of the columns",
        "row 2: 2 values, right are 4",
        "row 3: a int is no row",
        "row 4: the row is empty",
        "row 0: column 'age': 'old' is not a number",
        "row 0: column 'since': 'now' is not a date",
    ):
        assert words in text


def test_columns_of_different_lengths(config):
    with pytest.raises(InputError, match="different lengths"):
        TABLE.split_batch({"age": [1, 2], "city": ["a"]}, config)


def test_infinite_numbers_are_refused(config):
    with pytest.raises(InputError, match="not a number"):
        TABLE.decode({"age": float("inf")}, config)


@pytest.mark.parametrize("number", [1e300, -4e38, 10**400])
def test_numbers_beyond_float32_are_refused(config, number):
    with pytest.raises(InputError, match="not a number"):
        TABLE.decode({"age": number}, config)
    plain, _ = TABLE.fit(np.ones((20, 1), np.float32) * np.arange(20)[:, None], None, {})
    with pytest.raises(InputError, match="not a number"):
        TABLE.decode_batch(np.array([[float(min(number, 1e300))]]), plain)


def test_json_rows(config):
    row = [30, "Paris", None, True]
    assert TABLE.split_batch(TABLE.from_json(row, config), config) == [row]
    assert len(TABLE.split_batch(TABLE.from_json([row, row], config), config)) == 2


def test_rare_categories_share_a_feature():
    rows = Rows({"c": [f"k{i % 40}" for i in range(400)], "x": list(range(400))})
    config, _ = TABLE.fit(rows, None, {"max_categories": 10})
    assert TABLE.sample_shape(config) == (12,)
    assert TABLE.decode({"c": "new"}, config)[10] == 1


def test_plain_rows():
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    config, _ = TABLE.fit(rows, None, {"columns": ("a", "b", "c")})
    assert np.array_equal(TABLE.decode(rows[4], config), rows[4])
    assert np.array_equal(TABLE.decode_batch(rows, config), rows)
    assert len(TABLE.split_batch(rows, config)) == 20
    assert np.array_equal(TABLE.decode({"a": 1, "b": 2, "c": 3}, config), [1, 2, 3])
