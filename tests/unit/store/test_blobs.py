import os
import time

import pytest

from workbench.core.errors import IntegrityError, UnsafeError
from workbench.store.blobs import Blob
from workbench.store.gc import collect


def test_the_same_bytes_are_one_read_only_file(store):
    first = store.blobs.put_bytes(b"abc", ".bin")
    again = store.blobs.put_bytes(b"abc", ".bin")
    assert first == again
    assert len(list(store.blobs.all())) == 1
    assert not store.blobs.path(first).stat().st_mode & 0o222


def test_nothing_is_left_of_a_failed_write(store):
    with pytest.raises(RuntimeError), store.blobs.writer(".bin") as pending:
        pending.path.write_bytes(b"half")
        raise RuntimeError
    assert list(store.blobs.all()) == []
    assert list(store.home.scratch.iterdir()) == []


def test_a_missing_or_changed_file_is_told_apart(store):
    blob = store.blobs.put_bytes(b"abc")
    path = store.blobs.path(blob)
    path.chmod(0o644)
    path.write_bytes(b"abd")
    with pytest.raises(IntegrityError, match="changed"):
        store.blobs.verify(blob)
    store.blobs.put_bytes(b"abc")
    assert store.blobs.verify(blob).read_bytes() == b"abc"
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        store.blobs.verify(blob)


@pytest.mark.parametrize(
    ("digest", "suffix"), [("../../etc", ""), ("a" * 64, "/../x"), ("A" * 64, "")]
)
def test_no_name_leaves_the_folder(digest, suffix):
    with pytest.raises(UnsafeError):
        Blob(digest, 1, suffix)


def test_artifact_files_stay_inside(store):
    with pytest.raises(UnsafeError):
        store.artifacts.save("onnx", {"../model.onnx": b"x"}, {})
    with pytest.raises(UnsafeError):
        store.artifacts.save("onnx", {"/model.onnx": b"x"}, {})


def test_storing_again_what_is_there_makes_it_young(store):
    blob = store.blobs.put_bytes(b"abc", ".bin")
    os.utime(store.blobs.path(blob), (1, 1))
    inode = store.blobs.path(blob).stat().st_ino
    assert store.blobs.put_bytes(b"abc", ".bin") == blob
    found = store.blobs.path(blob).stat()
    assert found.st_mtime > time.time() - 600
    assert found.st_ino == inode, "who maps it keeps the same file"


def test_a_file_with_two_suffixes_is_kept_as_long_as_it_is_needed(store):
    blob = store.blobs.put_bytes(b"abc", ".onnx.data")
    artifact = store.artifacts.save("onnx", {"model.onnx.data": blob}, {})
    run = store.runs.create("import", {}, {})
    store.runs.add_output(run.id, "model", artifact.digest)
    os.utime(store.blobs.path(blob), (1, 1))
    assert collect(store)["files"] == 0
    assert store.blobs.verify(blob).exists()
