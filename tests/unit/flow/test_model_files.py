"""A model of several files: what belongs to a graph goes with it, to every place it goes to."""

from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import onnx
import pytest

from tests.unit.flow.test_foreign_files import classifier, data, in_two_files, space  # noqa: F401
from workbench.core.errors import InputError, IntegrityError, NotFoundError, UnsupportedError
from workbench.exporting import model_files
from workbench.serving.container import ContainerConfig, write_context
from workbench.store import open_store

VOCABULARY = {"model": {"type": "WordLevel", "vocab": {"a": 0}}}


@contextmanager
def served(space, version):  # noqa: F811
    endpoint = space.serve(version)
    try:
        yield endpoint
    finally:
        endpoint.stop()


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("files")
    for name in ("model.onnx", "decode.onnx"):
        onnx.save(classifier(data), folder / name)
    (folder / "tokenizer.json").write_text(json.dumps(VOCABULARY))
    (folder / "README.md").write_text("of no use here")
    return folder


@pytest.fixture(scope="module")
def version(space, data, folder):  # noqa: F811
    return space.register(space.import_model(folder, data), "several")


def test_a_folder_is_one_model(space, data, folder, version):  # noqa: F811
    run = space.import_model(folder, data)
    told = [event for event in run.events() if event.kind == "left_out"]
    assert told[0].data["files"] == ["README.md"]
    assert set(version.manifest["files"]) == {"model.onnx", "decode.onnx", "tokenizer.json"}
    space.verify(version)
    assert json.loads((version.path.parent / "tokenizer.json").read_text()) == VOCABULARY


def test_what_is_compressed_keeps_the_files_beside_it(space, data, version):  # noqa: F811
    variant = space.study(version, data).measure("prune:0.3")
    assert json.loads((variant.path.parent / "tokenizer.json").read_text()) == VOCABULARY
    again = space.register(variant, "several")
    assert set(again.manifest["files"]) == set(version.manifest["files"])
    assert again.manifest["files"]["model.onnx"] != version.manifest["files"]["model.onnx"]


def test_it_is_exported_whole(space, version, tmp_path):  # noqa: F811
    space.export(version, path=tmp_path / "net.onnx")
    assert {p.name for p in tmp_path.iterdir()} == {"net.onnx", "decode.onnx", "tokenizer.json"}


def test_it_is_served_and_goes_into_a_container(space, data, version, tmp_path):  # noqa: F811
    with served(space, version) as endpoint:
        assert endpoint.predict(data.test[0].input)[0].label in data.labels
    space.promote("several", version)
    write_context(space.store, [version.ref], tmp_path / "image", ContainerConfig())
    carried = open_store(tmp_path / "image" / "workspace").models.resolve(version.ref)
    assert set(carried.files) == set(version.manifest["files"])


def test_a_changed_vocabulary_is_found(space, folder, data, tmp_path):  # noqa: F811
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    onnx.save(classifier(data), tmp_path / "model.onnx")
    made = space.register(space.import_model(tmp_path, data), "worn")
    blob = space.store.models.resolve(made.ref).files["vocab.txt"]
    path = space.store.blobs.path(blob)
    path.chmod(0o600)
    path.write_text("b\na\n")
    with pytest.raises(IntegrityError, match=blob.digest[:12]):
        space.verify(made)
    with pytest.raises(IntegrityError):
        space.serve(made)


def test_weights_too_large_for_a_graph_stay_a_file(space, data, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(model_files, "_MOST_BYTES", 1000)
    run = space.import_model(in_two_files(data, tmp_path), data)
    made = space.register(run, "large")
    (tmp_path / "net.onnx.data").unlink()
    assert set(made.manifest["files"]) == {"model.onnx", "net.onnx.data"}
    with served(space, made) as endpoint:
        said = [p.label for p in endpoint.predict(np.asarray(data.test.inputs[:20]))]
    right = [data.labels[t] for t in data.test.targets[:20]]
    assert np.mean([a == b for a, b in zip(said, right, strict=True)]) > 0.7
    with pytest.raises(UnsupportedError, match=r"net\.onnx\.data"):
        space.study(made, data).measure("prune:0.3")


def test_it_must_be_clear_which_graph_answers(space, data, tmp_path):  # noqa: F811
    with pytest.raises(NotFoundError, match="no ONNX file"):
        space.import_model(tmp_path, data)
    for name in ("prefill.onnx", "decode.onnx"):
        onnx.save(classifier(data), tmp_path / name)
    with pytest.raises(InputError, match=r"decode\.onnx, prefill\.onnx"):
        space.import_model(tmp_path, data)
