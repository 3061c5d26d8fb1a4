from __future__ import annotations

import pytest

from workbench.core.errors import InputError
from workbench.data.table_files import read_table


def read(tmp_path, content, encoding=None, separator=None, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, encoding, separator)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_encodings_are_found_out(tmp_path, encoding):
    table = read(tmp_path, "名字,城市\n张三,北京\n".encode(encoding))
    assert table.columns == {"名字": ["张三"], "城市": ["北京"]}


def test_an_unknown_encoding_says_where(tmp_path):
    content = "name,x\ncafé,1\n".encode("latin-1")
    with pytest.raises(InputError, match="position 10"):
        read(tmp_path, content)
    assert read(tmp_path, content, encoding="latin-1").columns["name"] == ["café"]
    with pytest.raises(InputError, match="klingon"):
        read(tmp_path, content, encoding="klingon")


@pytest.mark.parametrize("separator", list(",;\t|"))
def test_separators_are_found_out(tmp_path, separator):
    table = read(tmp_path, f"a{separator}b\n1{separator}2\n")
    assert table.columns == {"a": ["1"], "b": ["2"]}


def test_lines_are_those_of_the_file(tmp_path):
    table = read(tmp_path, 'a,b\n\n1,"x\ny"\n2,z\n3\n4,5,6\n')
    assert table.columns["b"] == ["x\ny", "z"]
    assert [table.place(i) for i in range(2)] == ["t.csv line 3", "t.csv line 5"]
    assert list(table.problems) == [
        "t.csv line 6: 1 cells, the header has 2",
        "t.csv line 7: 3 cells, the header has 2",
    ]


def test_a_column_without_a_name_gets_one(tmp_path):
    assert list(read(tmp_path, ",b\n1,2\n").columns) == ["column_1", "b"]


def test_a_broken_parquet_file(tmp_path):
    with pytest.raises(InputError, match="Parquet"):
        read(tmp_path, b"PAR1 no", name="t.parquet")
