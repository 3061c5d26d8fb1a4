"""Data: samples, augmentation, uploads and loading; each does what its line of Python does."""

from __future__ import annotations

import base64

import pytest

import workbench
from workbench.flow.workspace import Workspace
from workbench.screens.dataset import DatasetScreen

ID = "0123456789abcdef"
TEXT = "\n".join(["size,kind", *(f"{i},{'ab'[i % 2]}" for i in range(60))]).encode()


@pytest.fixture
def digits(tmp_path):
    return Workspace(tmp_path / ".workbench", inline=True).load("digits")


@pytest.fixture
def screen(digits):
    made = DatasetScreen(Workspace(digits.store.home.root), digits, has_form=True)
    yield made
    made.close()


def in_python(line):
    """Runs a line in the workspace that the screen shows, which is the test's default."""
    return eval(line, {"wb": workbench})


def piece(at, data, id=ID):
    return {"id": id, "parts": [{"path": "kinds.csv", "at": at, "data": data}]}


def test_samples_of_a_part_and_a_class_are_shown(screen):
    screen.do("look_at", {"part": "val", "label": 3})
    assert (screen.gallery["part"], set(screen.gallery["names"])) == ("val", {"3"})
    for name, more in (("look_at", {}), ("augment", {"index": 0, "text": ""})):
        assert "no part 'all'" in screen.do(name, {"part": "all", **more})["error"]["message"]


def test_the_most_suspicious_say_why_and_a_typed_error_stays_small(screen):
    screen.do("look_at", {"part": "train", "order": "suspicion"})
    assert "nearest are not" in screen.gallery["notes"][0]
    typed = {"part": "train", "index": 0, "text": "shfit:1", "is_typed": True}
    assert "error" not in screen.do("augment", typed)
    assert "shift" in screen.sample["problem"]
    assert "error" in screen.do("augment", {**typed, "is_typed": False})


@pytest.mark.parametrize("sent", [bytes, lambda data: base64.b64encode(data).decode()])
def test_a_file_in_pieces_is_loaded_as_one_line_of_python_does(screen, sent):
    id = f"{ID[:-1]}{int(sent is bytes)}"
    screen.do("upload_begin", {"id": id, "files": [["kinds.csv", len(TEXT)]]})
    for at in range(0, len(TEXT), 200):
        assert "error" not in screen.do("upload", piece(at, sent(TEXT[at : at + 200]), id))
    found = screen.uploading["found"]
    assert found["columns"] == ["size", "kind"]
    values = {"path": found["path"], "target": "kind", "split": "0.6,0.2,0.2", "name": ""}
    assert "error" not in screen.do("load", {"source": found["source"], "values": values})
    assert screen.facts["labels"] == ["a", "b"]
    assert in_python(screen.code).ref == screen.facts["ref"]
    assert screen.facts["ref"] in [one["ref"] for one in screen.form["loaded"]]
    assert "does not fit" in screen.do("upload", piece(0, sent(b"more"), id))["error"]["message"]
    assert screen.uploading == {}


def test_pieces_that_are_none_are_errors(screen):
    id = "fedcba9876543210"
    begin = {"id": id, "files": [["kinds.csv", 10]]}
    screen.do("upload_begin", begin)
    for strange in ([7], [{"path": 3, "at": 0, "data": b""}], [{"path": "kinds.csv"}], "x"):
        assert screen.do("upload", {"id": id, "parts": strange})["error"]["code"] == "bad_input"
    assert "no base64" in screen.do("upload", piece(0, "*", id))["error"]["message"]
    for files in ([["kinds.csv", "10"]], [["kinds.csv"]], "x"):
        error = screen.do("upload_begin", {**begin, "files": files})["error"]
        assert error["code"] == "bad_input"


def test_data_that_was_loaded_before_is_opened(digits, screen):
    screen.do("open", {"ref": digits.ref})
    assert in_python(screen.code).ref == screen.facts["ref"] == digits.ref
