import math
import time

import pytest

from workbench.core.ids import canonical_json, digest_file, digest_json, new_id


def test_ids_sort_by_time_and_never_repeat():
    first = new_id()
    deadline = time.time_ns() + 3_000_000
    while time.time_ns() < deadline:
        pass
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(first < later for later in ids)


def test_equal_values_have_equal_digests():
    assert digest_json({"b": 1, "a": "数"}) == digest_json({"a": "数", "b": 1})
    assert canonical_json({"a": "数"}) == '{"a":"数"}'.encode()


def test_nan_has_no_canonical_form():
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": math.nan})


def test_a_files_digest_is_sha256(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert digest_file(path).startswith("ba7816bf8f01cfea414140de5dae2223")
