from __future__ import annotations

import numpy as np

from workbench.data.rows import Rows, frame_columns, is_frame


def test_rows_by_column():
    rows = Rows({"a": [1, 2, 3], "b": list("xyz")})
    assert rows[1] == {"a": 2, "b": "y"}
    assert [row["a"] for row in rows] == [1, 2, 3]
    assert rows.take(np.array([2, 0])).column("b") == ["z", "x"]
    assert rows[1:].names == ("a", "b")
    assert len(rows.replaced({"a": [0, 0, 0]})) == 3


def test_frames(wine):
    assert is_frame(wine)
    assert not is_frame({"a": [1]})
    assert list(frame_columns(wine[["alcohol"]])) == ["alcohol"]
