"""A small file that unpacks to more than there is room for is refused, before it does."""

import pytest

from workbench.core.errors import InputError
from workbench.data.load import load
from workbench.data.table_files import read_table
from workbench.screens import uploads

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_many_rows_of_a_few_bytes_are_refused_by_what_the_file_says(tmp_path, monkeypatch):
    path = write(tmp_path / "t.parquet", a=pa.array([7] * 1_000_000), b=pa.array([1] * 1_000_000))
    assert path.stat().st_size < 10_000
    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetFile, "iter_batches", None)  # it does not come to that
        with pytest.raises(InputError, match="2,000,000 cells") as refused:
            read_table(path, None, None, max_memory=100e6)
    assert "max_memory=" in refused.value.hint
    assert len(read_table(path, None, None).lines) == 1_000_000, "one's own memory is the limit"


def test_a_long_text_that_is_stored_once_is_counted_as_often_as_it_is_told(tmp_path):
    path, once = tmp_path / "t.parquet", pa.array(["x" * 100_000])
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), once)
    pq.write_table(pa.table({"text": texts}), path, store_schema=False)
    assert pq.read_schema(path).field("text").type == pa.string()
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match=r"1\.00 GB"):
        read_table(path, None, None, max_memory=100e6)


def test_values_are_what_they_were(tmp_path):
    nested = pa.array([["a", "b"], [], None])
    kinds = pa.array(["p", "q", "p"]).dictionary_encode()
    numbers = pa.array([3, 4, 3]).dictionary_encode()
    values = {"t": ["u", None, "u"], "n": [1, None, 3], "f": [0.5, 1.5, None]}
    path = write(tmp_path / "t.pq", **values, nested=nested, kinds=kinds, numbers=numbers)
    columns = read_table(path, None, None).columns
    assert columns["t"] == values["t"]
    assert columns["kinds"] == ["p", "q", "p"]
    assert columns["numbers"] == [3, 4, 3]
    assert columns["nested"][0] == "['a', 'b']", "what is no number is text"
    assert [columns["f"][:2], columns["n"][2]] == [[0.5, 1.5], 3]


def test_rows_of_text_are_counted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 10_000)
    with pytest.raises(InputError, match="rows, too many in memory"):
        read_table(path, None, None, max_memory=1e6)
    assert len(read_table(path, None, None).lines) == 10_000


def test_the_option_reaches_the_source_and_makes_no_other_dataset(store, tmp_path):
    path = write(tmp_path / "t.parquet", x=list(range(60)), y=["a", "b"] * 30)
    with pytest.raises(InputError, match="max_memory"):
        load(store, path, target="y", max_memory=100)
    assert load(store, path, target="y", max_memory=1e9).ref == load(store, path, target="y").ref


def test_an_upload_has_a_stricter_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "_MOST_MEMORY", 1_000_000)
    path = write(tmp_path / "t.parquet", a=pa.array([7] * 1_000_000))
    content = path.read_bytes()
    upload = uploads.begin(tmp_path, "0" * 16, [["t.parquet", len(content)]])
    upload.take("t.parquet", 0, content)
    with pytest.raises(InputError, match="1,000,000 cells"):
        upload.found()
