from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError, NotFoundError
from workbench.data import load
from workbench.data.modalities import MODALITIES


def decode(data, row):
    return MODALITIES.get("table").decode(row, data.preprocessing)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_csv_with_holes_categories_and_dates(store, customers, encoding):
    data = load(store, customers(encoding=encoding), target="流失")
    assert (data.name, data.task, data.labels) == ("客户", "classification", ("否", "是"))
    assert len(data.train) == 84
    kinds = {column.name: column.kind for column in data.preprocessing.columns}
    assert kinds == {
        "编号": "ignored",
        "年龄": "number",
        "城市": "category",
        "收入": "number",
        "开户日期": "date",
    }
    told = {finding.kind for finding in data.findings}
    assert told >= {"missing_values", "column_categories", "column_dates", "column_ignored"}
    assert np.isfinite(data.train.inputs).all()


def test_the_raw_row_decodes_to_the_stored_features(store, customers):
    data = load(store, customers(), target="流失")
    for index in range(len(data.test)):
        row = data.test[index].input
        assert set(row) == {"编号", "年龄", "城市", "收入", "开户日期"}
        assert np.allclose(decode(data, row), data.test.inputs[index])
        assert isinstance(row["收入"], (int, float))


def test_unseen_categories_and_absent_columns_get_an_answer(store, customers):
    data = load(store, customers(), target="流失")
    row = dict(data.test[0].input)
    missing = decode(data, {**row, "年龄": None, "城市": "火星"})
    assert np.isfinite(missing).all()
    del row["年龄"]
    assert np.array_equal(decode(data, {**row, "城市": "火星", "流失": "是"}), missing)


def test_statistics_come_from_train_alone(store):
    frame = {"x": [*range(70), *([10_000] * 30)], "c": ["a", "b"] * 35 + ["new"] * 30,
             "split": ["train"] * 70 + ["val"] * 15 + ["test"] * 15, "y": [0, 1] * 50}  # fmt: skip
    data = load(store, "table", frame=frame, target="y", split="split")
    column, category = data.preprocessing.columns
    assert column.fill == pytest.approx(np.median(range(70)))
    assert category.categories == ("a", "b")
    assert data.normalization[0][0] == pytest.approx(np.mean(range(70)))
    assert len(data.test) == 15


def test_a_data_frame_and_parquet(store, tmp_path, wine):
    data = load(store, wine, target="target")
    assert data.labels == ("0", "1", "2")
    assert data.sample_shape == (13,)
    path = tmp_path / "酒.parquet"
    wine.to_parquet(path)
    stored = load(store, path, target="target")
    assert np.array_equal(stored.train.inputs, data.train.inputs)
    pandas_like = wine.assign(kind=np.where(wine.target > 0, "a", None))
    assert load(store, pandas_like, target="target").sample_shape == (15,)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (["a", "b"] * 20, "classification"),
        ([True, False] * 20, "classification"),
        ([0, 1, 2, 3] * 10, "classification"),
        ([1.5, 2.5] * 20, "regression"),
        (list(range(40)), "regression"),
    ],
)
def test_the_task_is_inferred(store, targets, task):
    frame = {"x": list(range(40)), "z": [i % 7 for i in range(40)], "y": targets}
    assert load(store, "table", frame=frame, target="y").task == task


def test_the_task_can_be_chosen(store):
    frame = {"x": list(range(40)), "y": [0, 1, 2, 3] * 10}
    data = load(store, "table", frame=frame, target="y", task="regression")
    assert (data.task, data.labels) == ("regression", ())


def test_the_baseline_is_computed_once(store, wine, monkeypatch):
    data = load(store, wine, target="target")
    first = data.baseline
    assert first["score"] > 0.85
    assert first["metric"] == "accuracy"
    monkeypatch.setattr("workbench.data.baseline._fit", None)
    assert load(store, wine, target="target").baseline == first


def test_groups_and_time_split_and_are_no_features(store, customers):
    data = load(store, customers(), target="流失", time="开户日期")
    assert "开户日期" not in [column.name for column in data.preprocessing.columns]
    frame = {"who": [f"p{i // 4}" for i in range(80)], "x": list(range(80)), "y": [0, 1] * 40}
    data = load(store, "table", frame=frame, target="y", groups="who")
    train = {i // 4 for i in data.train.indices}
    assert not train & {i // 4 for i in data.test.indices}
    assert data.sample_shape == (1,)


def test_a_split_column_is_noticed(store):
    words = ["train", "val", "test", "train"] * 10
    frame = {"x": list(range(40)), "subset": words, "y": [0, 1, 0, 1] * 10}
    data = load(store, "table", frame=frame, target="y")
    assert len(data.test) == 10
    assert data.sample_shape == (1,)


def test_a_split_column_with_other_words(store):
    frame = {"x": list(range(40)), "part": ["train", "tst"] * 20, "y": [0, 1, 0, 1] * 10}
    with pytest.raises(InputError, match="row 1: 'tst' in column 'part'"):
        load(store, "table", frame=frame, target="y", split="part")


def test_every_bad_line_is_told_at_once_and_nothing_is_stored(store, customers):
    def spoil(lines):
        lines[5] += ",1"
        lines[7] = "1,2"
        lines[9] = lines[9].rsplit(",", 1)[0] + ","
        return lines

    with pytest.raises(InputError) as caught:
        load(store, customers(mend=spoil), target="流失")
    assert caught.value.problems == (
        "客户.csv line 6: 7 cells, the header has 6",
        "客户.csv line 8: 2 cells, the header has 6",
        "客户.csv line 10: the target is missing in column '流失'",
    )
    assert not list(store.blobs.all())


def test_absent_columns_are_told_at_once_with_the_nearest(store, customers):
    with pytest.raises(InputError) as caught:
        load(store, customers(), target="流", groups="城", ignore=("年令",))
    assert len(caught.value.problems) == 3
    assert "did you mean '流失'?" in caught.value.problems[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,a,b\n1,2,3\n", "names column 'a' 2 times"),
        ("a,b\n1,x\n2,x\n3,z\n4,x\n", "'z' has one sample"),
        ("a,b\n1,\n2,\n", "is empty"),
        ("a,b\n1,x\n1,y\n1,x\n1,y\n1,x\n1,y\n1,x\n1,y\n1,x\n1,y\n", "one value only"),
    ],
)
def test_bad_tables(store, tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        load(store, path, target="b")


def test_options_that_contradict(store, customers):
    with pytest.raises(InputError, match="either path= or frame="):
        load(store, "table", target="y")
    with pytest.raises(InputError, match="either groups= or time="):
        load(store, customers(), target="流失", groups="城市", time="开户日期")
    with pytest.raises(NotFoundError, match="no file"):
        load(store, "table", path="none.csv", target="y")


def test_a_few_unreadable_cells_become_missing_and_are_told(store, customers):
    def spoil(lines):
        lines[3] = lines[3].replace(lines[3].split(",")[3], "unknown")
        return lines

    data = load(store, customers(mend=spoil), target="流失")
    (finding,) = [f for f in data.findings if f.kind == "unreadable_cells"]
    assert finding.places == ("客户.csv line 4: 'unknown'",)


def test_without_a_target_the_columns_are_named(store, customers):
    with pytest.raises(InputError, match="编号, 年龄, 城市, 收入, 开户日期, 流失"):
        load(store, customers())
