"""The files of a running endpoint: gc leaves them, and nothing is made where a workspace was."""

import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from tests.unit.serving.workers import BODY, workers
from workbench.core.errors import StateError
from workbench.serving.launch import find_place
from workbench.serving.options import Options
from workbench.serving.sources import StoreRegistry
from workbench.serving.state import State, StateFile
from workbench.store import open_store
from workbench.store.gc import collect
from workbench.store.in_use import hold, served_by


def exported(store, file):
    """Saves an artifact that nothing but its digest names, as of a run that was deleted."""
    meta = {"description": models.description().to_json()}
    return store.artifacts.save("onnx", {"model.onnx": file}, meta)


def test_what_a_running_endpoint_serves_is_a_root_of_gc_which_says_so(tmp_path, digits_file):
    store = open_store(tmp_path)
    artifact = exported(store, digits_file)
    folder = tmp_path / "endpoints" / "e"
    folder.mkdir(parents=True)
    refs = [f"artifact:{artifact.digest}", "model:digits@champion", "x.onnx", "artifact:0000000000"]
    lock = hold(folder, refs)
    freed = collect(store, young_s=0)
    assert (freed["files"], freed["in_use"]) == (0, 1)
    store.artifacts.verify(artifact)
    lock.release()
    freed = collect(store, young_s=0)
    assert (freed["files"], freed["in_use"]) == (1, 0)


@pytest.mark.full
def test_a_killed_worker_comes_back_after_gc(tmp_path, digits_file):
    store = open_store(tmp_path / "home")
    ref = f"artifact:{exported(store, digits_file).digest}"
    with workers(ref, tmp_path) as found:
        assert collect(store, young_s=0)["in_use"] == 1
        for _ in range(3):
            found.kill_one()
        name = found.ready["models"][0]
        path = f"/predict/{name}"
        wait_for(lambda: found.request("POST", path, json=BODY).status_code == 200)


def test_an_endpoint_whose_workspace_was_moved_says_so_and_makes_no_ghost(tmp_path, square_file):
    home = tmp_path / "home"
    store = open_store(home)
    folder = home / "endpoints" / "e"
    folder.mkdir(parents=True)
    options = {"registry": StoreRegistry(store), "folder": folder, "log_folder": home / "requests"}
    with running(square_file, **options) as found:
        home.rename(tmp_path / "elsewhere")
        body = {"inputs": [1, 2, 3]}
        assert found.http.post("/predict/square", json=body).status_code == 200
        for method, path, sent in (
            ("POST", "/manage/tokens", {"name": "ci"}),
            ("DELETE", "/manage/tokens/reader", None),
        ):
            told = found.http.request(method, path, json=sent)
            assert told.status_code == 409
            assert "moved" in told.json()["message"]
        wait_for(lambda: found.service._log.lost)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_a_worker_does_not_start_in_a_folder_that_is_gone(tmp_path, square_file):
    gone = tmp_path / "home" / "endpoints" / "e"
    with pytest.raises(StateError, match="moved"):
        find_place(Options(refs=(str(square_file),), home=tmp_path / "home", folder=gone))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("refs", "kept"),
    [
        (["model:digits@2"], {}),
        (["model:digits"], {"models": {"model:digits@2": {"name": "d", "is_wanted": True}}}),
        (["model:digits@champion"], {"traffic": {"digits": {"weights": {"champion": 9, "2": 1}}}}),
        (["model:digits@champion"], {"traffic": {"digits": {"shadow": "2"}}}),
    ],
)
def test_a_version_that_a_running_endpoint_serves_by_its_number_is_told(tmp_path, refs, kept):
    store = open_store(tmp_path)
    folder = store.home.endpoints / "prod"
    lock = hold(folder, refs)
    StateFile(folder, store.seals).update(lambda _: State.parse(kept, what="a state"))
    assert served_by(store, "digits", 2) == ["prod"]
    assert served_by(store, "digits", 1) == served_by(store, "digit", 2) == []
    lock.release()
    assert served_by(store, "digits", 2) == []
