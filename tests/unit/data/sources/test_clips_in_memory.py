"""Clips in memory: samples with their rate, files' bytes and paths, in one list."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.data.sounds import sound, tone
from workbench.core.errors import InputError
from workbench.data import load


def clips(count=24):
    pitches = np.random.default_rng(0).uniform(300, 3000, count)
    return [
        (tone(pitch, 8000 + 8000 * (i % 2), 0.3), 8000 + 8000 * (i % 2))
        for i, pitch in enumerate(pitches)
    ]


TARGETS = [i % 2 for i in range(24)]


def given(inputs, **options):
    return {
        "inputs": inputs,
        "targets": TARGETS,
        "modality": "audio",
        "labels": ("a", "b"),
        **options,
    }


def test_samples_with_their_rate(store):
    data = load(store, "arrays", **given(clips()))
    assert (data.modality, data.preprocessing.sample_rate) == ("audio", 16_000)
    assert data.sample_shape == (1, 40, 28)
    assert len(data.train) + len(data.val) + len(data.test) == 24
    assert load(store, "arrays", **given(clips())).artifact.digest == data.artifact.digest
    changed = clips()
    changed[3][0][17] += 0.01
    assert load(store, "arrays", **given(changed)).fingerprint != data.fingerprint


def test_pairs_mappings_bytes_and_paths_may_stand_beside_each_other(store, tmp_path):
    mixed = clips()
    mixed[1] = {"samples": mixed[1][0], "rate": mixed[1][1]}
    mixed[2] = sound(mixed[2][0], mixed[2][1], "FLAC")
    path = tmp_path / "clip.wav"
    path.write_bytes(sound(mixed[3][0], mixed[3][1]))
    mixed[3] = path
    data = load(store, "arrays", **given(mixed))
    assert np.isfinite(data.train.inputs).all()
    path.write_bytes(sound(tone(999, 8000, 0.3), 8000))
    assert load(store, "arrays", **given(mixed)).fingerprint != data.fingerprint


def test_options_of_the_modality_are_taken(store):
    data = load(store, "arrays", **given(clips()), seconds=0.2, n_mels=24)
    assert (data.preprocessing.seconds, data.preprocessing.n_mels) == (0.2, 24)
    assert data.fingerprint != load(store, "arrays", **given(clips())).fingerprint


def test_every_bad_clip_is_told_with_its_row(store):
    bad = clips()
    bad[4] = (np.zeros(0), 8000)
    bad[9] = b"no sound"
    bad[10] = bad[10][0]
    with pytest.raises(InputError) as caught:
        load(store, "arrays", **given(bad))
    assert [text.split(":")[0] for text in caught.value.problems] == ["row 4", "row 9", "row 10"]
    bad = clips()
    bad[7][0][5] = np.nan
    with pytest.raises(InputError, match="row 7: 1 of its samples are NaN"):
        load(store, "arrays", **given(bad))


def test_options_that_arrays_do_not_ask_for_are_refused(store):
    pictures = np.zeros((24, 8, 8))
    with pytest.raises(InputError, match="as they are"):
        load(store, "arrays", inputs=pictures, targets=TARGETS, modality="image", size=16)
    with pytest.raises(InputError, match="a bytes"):
        load(store, "arrays", **given(b"one file"))
