"""A folder of clips by class becomes a dataset by its path; pictures are no special case."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.data.sounds import clip_folder, sound, soundfile, tone
from workbench.core.errors import InputError
from workbench.data import load
from workbench.data.modalities import MODALITIES


@pytest.fixture
def clips(tmp_path):
    return clip_folder(tmp_path / "声音")


def test_a_folder_of_clips_is_loaded_by_its_path(store, clips):
    data = load(store, clips)
    assert (data.name, data.modality, data.task) == ("声音", "audio", "classification")
    assert data.labels == ("chirp", "noise", "音")
    assert data.sample_shape[:2] == (1, 40)
    files = sorted(path.relative_to(clips).as_posix() for path in clips.rglob("*.*"))
    decode = MODALITIES.get("audio").decode
    for number, sample in enumerate(data.test):
        file = files[data.test.indices[number]]
        assert data.labels[sample.target] == file.split("/")[0]
        assert np.array_equal(decode(clips / file, data.preprocessing), data.test.inputs[number])
        assert np.array_equal(decode(sample.input, data.preprocessing), data.test.inputs[number])
    kinds = {finding.kind for finding in data.findings}
    assert {"clip_length", "clip_rate", "clip_channels"} <= kinds
    assert not kinds & {"duplicates", "near_duplicates"}
    assert load(store, clips).artifact.digest == data.artifact.digest


def test_bands_are_normalized_on_train(store, clips):
    mean, std = load(store, clips).normalization
    assert mean.shape == std.shape == (1, 40, 1)
    train = np.asarray(load(store, clips).train.inputs, np.float64)
    whitened = (train - mean) / std
    assert np.allclose(whitened.mean(axis=(0, 1, 3)), 0, atol=1e-3)
    assert np.allclose(whitened.std(axis=(0, 1, 3)), 1, atol=1e-3)


def test_the_modality_s_options_are_options_of_the_source(store, clips):
    data = load(store, clips, seconds=0.2, n_mels=24, sample_rate=8000)
    chosen = data.preprocessing
    assert (chosen.seconds, chosen.n_mels, chosen.sample_rate) == (0.2, 24, 8000)
    same = load(
        store, "folder", path=clips, options={"seconds": 0.2, "n_mels": 24}, sample_rate=8000
    )
    assert same.artifact.digest == data.artifact.digest
    assert load(store, clips).fingerprint != data.fingerprint
    with pytest.raises(InputError) as caught:
        load(store, clips, secnds=1)
    assert "unknown option 'secnds'" in caught.value.problems[0]
    with pytest.raises(InputError, match="the modality 'audio'"):
        load(store, clips, seconds=-1)


def test_every_broken_clip_is_told_or_left_out(store, clips):
    (clips / "noise" / "a.wav").write_bytes(b"no sound")
    (clips / "noise" / "b.flac").write_bytes(sound(tone(99), 16_000, "FLAC")[:-99])
    (clips / "noise" / "c.txt").write_text("notes")
    with pytest.raises(InputError) as caught:
        load(store, clips)
    assert any("noise/a.wav: a text is not opened" in text for text in caught.value.problems)
    assert any("noise/b.flac" in text for text in caught.value.problems)
    assert "clips that cannot be read are left out" in caught.value.hint
    data = load(store, clips, skip_broken=True)
    found = {finding.kind: finding for finding in data.findings}
    assert found["broken_left_out"].message.startswith("2 clips")
    assert found["files_left_out"].places == ("noise/c.txt",)


def test_a_folder_is_what_most_of_its_files_are(store, clips, picture_folder):
    pictures = picture_folder()
    (pictures / "类0" / "a.wav").write_bytes(sound(tone(99)))
    assert load(store, pictures).modality == "image"
    data = load(store, "folder", path=picture_folder("more"), size=16)
    assert (data.modality, data.sample_shape) == ("image", (1, 16, 16))
    with pytest.raises(InputError, match="no files"):
        load(store, "folder", path=clips, modality="table")


def test_copies_of_clips_across_splits_are_found(store, tmp_path):
    root = clip_folder(tmp_path / "clips")
    for label in ("chirp", "noise"):
        first = sorted((root / label).iterdir())[0]
        for index in range(12):
            (root / label / f"copy{index}{first.suffix}").write_bytes(first.read_bytes())
    samples, rate = soundfile.read(root / "音" / "00.wav")
    for index in range(12):
        (root / "音" / f"again{index}.flac").write_bytes(sound(samples, rate, "FLAC"))
    (found,) = [f for f in load(store, root).findings if f.kind == "duplicates"]
    assert {"chirp", "noise", "音"} <= {place.split("/")[0] for place in found.places}
