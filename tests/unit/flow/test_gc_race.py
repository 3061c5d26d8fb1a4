"""What somebody begins to use while `gc` is at work is kept, or made again; never lost."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from workbench.core.records import Description
from workbench.core.signature import Signature
from workbench.flow import exports
from workbench.flow.exports import export_model
from workbench.flow.resolve import NETWORK, ONNX, Model
from workbench.store import MODEL_FILE, gc, open_store
from workbench.store.gc import collect

_FEW, _MANY, _WORKERS = 20, 1000, 2
_DESCRIPTION = Description("classification", "logits", (), Signature((), ()))


def _age(path):
    """Makes a file older than what gc spares for being young."""
    before = time.time() - 7200
    if path.exists():
        os.utime(path, (before, before))


class _Networks:
    """Stands for the networks: exporting takes no torch, and no time."""

    @staticmethod
    def load_network(store, artifact):
        return artifact.digest


def _export_quickly(store, module, description, dataset, meta, exporter):
    content = {MODEL_FILE: f"exported {module}".encode()}
    return store.artifacts.save(ONNX, content, {**meta, "description": description.to_json()})


def _model(store, name):
    meta = {"description": _DESCRIPTION.to_json()}
    artifact = store.artifacts.save(NETWORK, {"network.json": name.encode()}, meta)
    run = store.runs.create("train", {}, {})
    store.runs.add_output(run.id, "model", artifact.digest)
    return Model(ref=run.ref, artifact=artifact)


def _register_many(root, worker, count):
    exports.networks, exports.export_module = _Networks, _export_quickly
    store = open_store(root)
    for number in range(count):
        name = f"m{worker}-{number}"
        model = _model(store, name)
        _age(export_model(store, model, None).path)  # long ago, and nothing has needed it since
        export = export_model(store, model, None)
        blob = export.artifact.files[MODEL_FILE]
        store.models.register(name, {"files": {MODEL_FILE: blob.to_json()}})
        store.models.verify(store.models.get(name, 1))


def _collect_until(root, ended):
    store = open_store(root)
    while not ended.wait(0.005):  # others have the lock now and then
        collect(store)


def _race(root: Path, count: int) -> int:
    """Returns how many versions are whole after workers have registered beside a gc in a loop."""
    store = open_store(root)
    spawn = multiprocessing.get_context("spawn")
    ended = spawn.Event()
    collector = spawn.Process(target=_collect_until, args=(root, ended))
    workers = [
        spawn.Process(target=_register_many, args=(root, worker, count // _WORKERS))
        for worker in range(_WORKERS)
    ]
    for process in (collector, *workers):
        process.start()
    for process in workers:
        process.join()
    ended.set()
    collector.join()
    assert [process.exitcode for process in (*workers, collector)] == [0] * (_WORKERS + 1)
    versions = [store.models.get(name, 1) for name in store.models.names()]
    return sum(store.models.verify(version) == version for version in versions)


def test_nothing_is_lost_beside_gc(tmp_path):
    assert _race(tmp_path / ".workbench", _FEW) == _FEW


@pytest.mark.full
def test_a_thousand_exports_and_registers_beside_gc_lose_nothing(tmp_path):
    assert _race(tmp_path / ".workbench", _MANY) == _MANY


def test_what_is_stored_again_between_the_decision_and_the_removal_stays(store, monkeypatch):
    first = store.artifacts.save(ONNX, {MODEL_FILE: b"model"}, {})
    _age(store.artifacts.path(first, MODEL_FILE))
    decide = gc._doomed

    def decide_and_be_overtaken(*values):
        found = decide(*values)
        assert len(found) == 1
        assert store.artifacts.adopt(first.digest) is None, "its record is gone: make it again"
        assert store.artifacts.save(ONNX, {MODEL_FILE: b"model"}, {}).digest == first.digest
        return found

    monkeypatch.setattr(gc, "_doomed", decide_and_be_overtaken)
    assert collect(store)["files"] == 0
    store.artifacts.verify(store.artifacts.get(first.digest))


def test_an_end_in_the_middle_leaves_no_record_without_its_files(store, monkeypatch):
    made = [store.artifacts.save(ONNX, {MODEL_FILE: b"%d" % n}, {}) for n in range(3)]
    for artifact in made:
        _age(store.artifacts.path(artifact, MODEL_FILE))

    unlink = Path.unlink

    def end(path, **options):
        if path.is_relative_to(store.home.blobs):
            raise KeyboardInterrupt
        unlink(path, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", end)
        collect(store)
    assert store.db.query("SELECT * FROM artifacts") == []
    assert len(list(store.blobs.all())) == 3
    assert collect(store)["files"] == 3


def test_a_file_of_somebody_else_in_a_shared_folder_is_renewed_by_a_copy(store, monkeypatch):
    blob = store.blobs.put_bytes(b"model", ".onnx")
    _age(store.blobs.path(blob))
    own, refused = os.utime, [store.blobs.path(blob)]

    def utime(path, *values, **named):
        if path in refused:
            raise PermissionError(path)
        own(path, *values, **named)

    monkeypatch.setattr(os, "utime", utime)
    assert store.blobs.renew(blob)
    assert time.time() - store.blobs.verify(blob).stat().st_mtime < 600
