from __future__ import annotations

import numpy as np

from workbench.data.chunks import StoredArray, chunks, rows_per_chunk


def test_pieces_cover_everything(tmp_path):
    array = np.random.default_rng(0).random((2500, 3, 4), np.float32)
    np.save(tmp_path / "a.npy", array)
    stored = StoredArray(tmp_path / "a.npy")
    assert len(stored) == 2500
    assert np.array_equal(np.concatenate([stored[rows] for rows in chunks(stored)]), array)
    assert np.array_equal(stored[7], array[7])
    assert list(chunks(array[:0])) == []
    assert rows_per_chunk(1 << 40) == 1
