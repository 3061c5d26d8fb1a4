from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from workbench.core.errors import InputError, NotFoundError
from workbench.data import load
from workbench.data.modalities import MODALITIES


def test_a_folder_by_class_in_chinese(store, picture_folder):
    root = picture_folder()
    data = load(store, "images", path=root)
    assert data.name == "图片"
    assert data.labels == ("类0", "类1", "类2")
    assert data.sample_shape == (1, 8, 8)
    assert len(data.train) == 42
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    decode = MODALITIES.get("image").decode
    for index in range(len(data.test)):
        file = files[data.test.indices[index]]
        assert data.labels[data.test[index].target] == file.split("/")[0]
        from_file = decode(root / file, data.preprocessing)
        assert np.array_equal(from_file, data.test.inputs[index])
        assert np.array_equal(decode(data.test[index].input, data.preprocessing), from_file)


@pytest.mark.parametrize("words", [("train", "val", "test"), ("训练集", "验证集", "测试集")])
def test_given_split_folders_are_kept(store, picture_folder, words):
    root = picture_folder(parts=words)
    data = load(store, root)
    assert (len(data.train), len(data.val), len(data.test)) == (20, 20, 20)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    assert all(files[i].startswith(words[2]) for i in data.test.indices)


def test_pictures_of_one_group_stay_in_one_split(store, picture_folder):
    root = picture_folder()
    for index, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"patient{index % 12:02d}_{path.name}"))
    data = load(store, root, groups=r"(patient\d+)_")
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    patients = [
        {files[i].split("/")[1][:9] for i in split.indices}
        for split in (data.train, data.val, data.test)
    ]
    assert sum(map(len, patients)) == 12
    assert set.union(*patients) == {f"patient{i:02d}" for i in range(12)}
    assert data.fingerprint != load(store, root).fingerprint


def test_bad_groups_of_pictures_are_told_with_their_files(store, picture_folder):
    root = picture_folder()
    with pytest.raises(InputError, match="no regular expression"):
        load(store, root, groups="(patient")
    odd = sorted(root.rglob("*.png"))[7]
    odd.rename(odd.with_name("odd.png"))
    with pytest.raises(InputError, match=r"odd\.png: '\[0-9\]\+\[\.\]png' is not found"):
        load(store, root, groups="[0-9]+[.]png")


def test_groups_beside_given_split_folders_are_refused(store, picture_folder):
    with pytest.raises(InputError, match="train/ val/ test/"):
        load(store, picture_folder(parts=("train", "val", "test")), groups="[0-9]+")


def test_train_and_test_alone_give_a_val_of_train(store, picture_folder):
    data = load(store, picture_folder(parts=("train", "train", "test")))
    assert len(data.test) == 20
    assert len(data.train) + len(data.val) == 40
    assert any("no val" in finding.message for finding in data.findings)


def test_pictures_of_many_sizes_and_modes_become_one(store, tmp_path):
    rng = np.random.default_rng(0)
    for index in range(24):
        height, width = rng.integers(20, 90, 2)
        pixels = rng.integers(0, 255, (height, width, 4), np.uint8)
        mode = ("RGBA", "RGB", "L", "P")[index % 4]
        folder = tmp_path / "mixed" / ("ab"[index % 2])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert("RGB" if mode == "P" else mode).convert(mode).save(
            folder / f"{index}.png"
        )
    data = load(store, tmp_path / "mixed")
    assert data.sample_shape == (3, 64, 64)
    assert {f.kind for f in data.findings} >= {"image_size", "image_channels"}
    gray = load(store, tmp_path / "mixed", size=16, channels=1, resize="crop")
    assert gray.sample_shape == (1, 16, 16)
    assert gray.fingerprint != data.fingerprint


def test_the_second_load_reads_no_file_again(store, picture_folder, monkeypatch):
    root = picture_folder()
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.setattr("workbench.data.folder._SETTLED_S", -60.0)
    first = load(store, root)
    seen = []
    again = load(store, root, progress=lambda *done: seen.append(done))
    assert again.fingerprint == first.fingerprint
    assert not seen
    changed = sorted(root.rglob("*.png"))[0]
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(changed)
    os.utime(changed, (1, 1))
    assert load(store, root).fingerprint != first.fingerprint


def test_one_byte_more_is_another_fingerprint_and_a_moved_folder_is_not(store, picture_folder):
    root = picture_folder()
    first = load(store, root)
    moved = root.with_name("elsewhere")
    shutil.move(root, moved)
    assert load(store, moved).fingerprint == first.fingerprint
    with sorted(moved.rglob("*.png"))[5].open("ab") as file:
        file.write(b"\0")
    assert load(store, moved).fingerprint != first.fingerprint


def test_progress_counts_to_the_end(store, picture_folder):
    seen = []
    load(store, picture_folder(), progress=lambda *done: seen.append(done))
    assert {note for _, _, note in seen} == {"reading", "decoding"}
    assert seen[-1][:2] == (60, 60)


def test_every_bad_file_is_told_at_once_and_nothing_is_stored(store, picture_folder):
    root = picture_folder(suffix=".jpg")
    good = next((root / "类0").iterdir()).read_bytes()
    (root / "类1" / "坏.png").write_bytes(b"not a picture")
    (root / "类2" / "cut.jpg").write_bytes(good[: len(good) // 2])
    (root / "类2" / "empty.jpg").write_bytes(b"")
    (root / "空").mkdir()
    (root / "单").mkdir()
    Image.new("L", (8, 8)).save(root / "单" / "a.png")
    with pytest.raises(InputError) as caught:
        load(store, root)
    text = str(caught.value)
    for words in ("类1/坏.png", "类2/cut.jpg", "类2/empty.jpg", "空/", "label '单' has one sample"):
        assert words in text
    assert len(caught.value.problems) == 5
    assert not list(store.blobs.all())
    assert not list(store.home.scratch.iterdir())


def test_folders_that_hold_nothing_or_no_classes(store, tmp_path, picture_folder):
    with pytest.raises(InputError, match="no files of a known kind"):
        load(store, tmp_path)
    with pytest.raises(NotFoundError, match="no folder"):
        load(store, "images", path=tmp_path / "absent")
    root = picture_folder()
    Image.new("L", (8, 8)).save(root / "loose.png")
    with pytest.raises(InputError, match=r"loose\.png"):
        load(store, root)


def test_other_files_are_told(store, picture_folder):
    root = picture_folder()
    (root / "类0" / "notes.txt").write_text("x")
    (root / ".DS_Store").write_text("x")
    (finding,) = [f for f in load(store, root).findings if f.kind == "files_left_out"]
    assert finding.places == ("类0/notes.txt",)


def test_copies_across_splits_are_told(store, picture_folder):
    root = picture_folder(parts=("train", "val", "test"))
    source = next((root / "train" / "类0").glob("*.png"))
    shutil.copy(source, root / "test" / "类0" / "copy.png")
    (finding,) = [f for f in load(store, root).findings if f.kind == "duplicates"]
    assert finding.places[0].startswith("test/类0/copy.png (test) = train/类0/")


def test_broken_pictures_are_left_out_if_wanted_and_listed(store, picture_folder):
    root = picture_folder()
    whole, cut = sorted(root.rglob("*.png"))[3:5]
    whole.write_bytes(b"no picture")
    cut.write_bytes(cut.read_bytes()[:-30])
    with pytest.raises(InputError, match="problem") as refused:
        load(store, root)
    assert "skip_broken=True" in refused.value.hint
    data = load(store, root, skip_broken=True)
    assert len(data.train) + len(data.val) + len(data.test) == 58
    (finding,) = (f for f in data.findings if f.kind == "broken_left_out")
    assert sorted(place.split(":")[0] for place in finding.places) == [
        path.relative_to(root).as_posix() for path in (whole, cut)
    ]
