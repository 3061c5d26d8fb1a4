"""Uploads: what is sent arrives byte for byte, and nothing leaves the upload's folder."""

from __future__ import annotations

import os

import pytest

from workbench.core.errors import InputError
from workbench.screens import uploads

ID = "0123456789abcdef"


def test_a_file_in_pieces_arrives_as_it_was(tmp_path):
    content = b"length;bloom\n" + os.urandom(3000)
    upload = uploads.begin(tmp_path, ID, [["flowers.csv", len(content)]])
    for at in range(0, len(content), 1000):
        assert not upload.is_complete
        upload.take("flowers.csv", at, content[at : at + 1000])
    assert upload.is_complete
    found = upload.found()
    assert (tmp_path / "uploads" / ID / "flowers.csv").read_bytes() == content
    assert (found["source"], found["columns"]) == ("table", ["length", "bloom"])


@pytest.mark.parametrize(
    "path",
    [
        "../evil.csv", "/etc/passwd", "a/../../b.png", ".bashrc", "x/.ssh/k.png", "a\\b.csv",
        "a\0.csv", "", "pictures//a.png", "a/b/c/d/e.png", "model.pkl", "cats/notes.csv",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_is_no_data_is_refused(tmp_path, path):
    with pytest.raises(InputError) as caught:
        uploads.begin(tmp_path, ID, [[path, 3], ["fine.csv", 3]])
    assert any(repr(path[:80]) in problem for problem in caught.value.problems)
    assert not (tmp_path / "uploads").exists()


def test_too_much_nothing_or_a_strange_id_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="200 MB") as caught:
        uploads.begin(tmp_path, "../x", [["a.csv", 300_000_000]])
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="nothing was chosen"):
        uploads.begin(tmp_path, ID, [])


def test_what_lies_beside_pictures_is_left_out_and_said(tmp_path):
    files = [["pics/a/1.png", 3], ["pics/a/2.JPG", 4], ["pics/notes.txt", 5], ["pics/a/Icon", 0]]
    upload = uploads.begin(tmp_path, ID, files)
    assert upload.skipped == ("pics/notes.txt", "pics/a/Icon")
    assert upload.total == 7
    with pytest.raises(InputError, match="cannot be uploaded"):
        uploads.begin(tmp_path, "fedcba9876543210", [["papers/notes.txt", 5]])


def test_a_piece_that_does_not_fit_is_refused(tmp_path):
    upload = uploads.begin(tmp_path, ID, [["a.csv", 10]])
    for path, at, piece in (("a.csv", 5, b"x"), ("a.csv", 0, b"x" * 11), ("b.csv", 0, b"x")):
        with pytest.raises(InputError, match="does not fit"):
            upload.take(path, at, piece)
    upload.forget()
    assert not upload.folder.exists()
