"""Clips: one tensor whatever the file, what is fitted on train, what is said of odd ones."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from tests.unit.data.sounds import chirp, sound, soundfile, tone
from workbench.core.errors import InputError, MissingDependencyError
from workbench.core.optional import require
from workbench.data.modalities import MODALITIES
from workbench.data.picture_file import PictureLimits
from workbench.data.sound_file import wav_bytes

AUDIO = MODALITIES.get("audio")
TONE = tone(1000, 16_000, 0.5, 0.5)


def config(**options):
    sizes = np.array([[8000, 1, 16_000]] * 20)
    return AUDIO.fit([], sizes, options)[0]


def fit(*sizes, **options):
    return AUDIO.fit([], np.array(sizes), options)


def test_rate_and_length_are_those_of_most_clips():
    found, findings = fit(*[(8000, 1, 8000)] * 15, *[(4000, 2, 16_000)] * 5)
    assert (found.sample_rate, found.seconds, found.fmax) == (8000, 1.0, 4000)
    words = " ".join(finding.message for finding in findings)
    assert "5 are shorter and followed by silence" in words
    assert "8,000 Hz (15), 16,000 Hz (5)" in words
    assert "5 of 20 clips in train have several channels" in words


def test_defaults_are_bounded_and_can_be_chosen():
    found, _ = fit(*[(44_100 * 60, 1, 44_100)] * 5)
    assert (found.sample_rate, found.seconds) == (16_000, 10.0)
    found, findings = fit(*[(44_100, 1, 44_100)] * 5, sample_rate=22_050, seconds=0.5, n_mels=64)
    assert (found.sample_rate, found.seconds, found.n_mels) == (22_050, 0.5, 64)
    assert "of 5 only the middle is looked at" in findings[0].message
    assert AUDIO.sample_shape(found)[:2] == (1, 64)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_mels": 128, "fmin": 100, "fmax": 140}, "too narrow"),
        ({"fmax": 9000}, "half of the sample rate"),
        ({"seconds": 1e6}, "30"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with pytest.raises(InputError) as caught:
        fit((8000, 1, 16_000), (8000, 1, 16_000), **options)
    assert words in " ".join([caught.value.message, *caught.value.problems])


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_file_bytes_path_array_and_json_are_one_tensor(kind, tmp_path):
    chosen = config()
    data = sound(TONE, 16_000, kind, "PCM_24")
    samples = soundfile.read(tmp_path / _written(tmp_path / "a", data), dtype="float32")[0]
    expected = AUDIO.decode((samples, 16_000), chosen)
    text = base64.b64encode(data).decode()
    for value in (
        data,
        tmp_path / "a",
        {"samples": samples, "rate": 16_000},
        AUDIO.from_json({"samples": samples.tolist(), "rate": 16_000}, chosen),
        AUDIO.from_json(text, chosen),
        AUDIO.from_json({"b64": text}, chosen),
        AUDIO.unpack(AUDIO.pack(data, chosen), chosen),
        AUDIO.unpack(AUDIO.pack((samples, 16_000), chosen), chosen),
    ):
        assert np.array_equal(AUDIO.decode(value, chosen), expected)


def _written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_a_tone_is_the_same_tone_at_every_rate(rate):
    chosen = config()
    seen = AUDIO.decode((tone(1000, rate, 0.5, 0.5), rate), chosen)
    expected = AUDIO.decode((TONE, 16_000), chosen)
    band = int(expected[0].mean(axis=1).argmax())
    assert int(seen[0].mean(axis=1).argmax()) == band
    assert np.abs(seen[0, band, 2:-3] - expected[0, band, 2:-3]).max() < 0.2


def test_kept_clips_decode_to_the_very_same_tensor():
    chosen = config(seconds=0.3)
    long = np.stack([chirp(200, 3000, 22_050, 2.0), tone(500, 22_050, 2.0)], axis=1)
    for value in (sound(long, 22_050, "FLAC"), sound(long, 22_050, "OGG"), (long, 22_050)):
        kept = AUDIO.pack(value, chosen)
        assert len(kept) < 4 * 22_050 * 0.32
        assert np.array_equal(AUDIO.decode(kept, chosen), AUDIO.decode(value, chosen))


def test_of_a_long_clip_the_middle_is_looked_at_and_a_short_one_is_followed_by_silence():
    chosen = config(seconds=0.5)
    quiet = np.zeros(16_000, np.float32)
    middle = np.concatenate([quiet, TONE, quiet])
    assert np.array_equal(
        AUDIO.decode((middle, 16_000), chosen), AUDIO.decode((TONE, 16_000), chosen)
    )
    short = AUDIO.decode((TONE[:2000], 16_000), chosen)
    assert (short[0, :, 15:] == np.float32(chosen.floor_db)).all()
    assert short[0, :, 0].max() > -20


def test_stereo_is_mixed_and_whole_numbers_are_scaled():
    chosen = config()
    one = AUDIO.decode((TONE, 16_000), chosen)
    stereo = np.stack([2 * TONE, np.zeros_like(TONE)], axis=1)
    assert np.allclose(AUDIO.decode((stereo, 16_000), chosen), one, atol=1e-3)
    whole = np.round(TONE * 32768).astype(np.int16)
    assert np.abs(AUDIO.decode((whole, 16_000), chosen) - one).max() < 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((np.zeros((0,)), 8000), "0 frames"),
        ((np.full(900, np.nan), 8000), "NaN"),
        (wav_bytes(np.full(900, np.inf, np.float32), 8000), "infinite"),
        ((np.full(900, 20_000.0), 8000), "floats from -1 to 1"),
        ((TONE, 0), "frames a second"),
        ((TONE, 8000.5), "whole number"),
        ((TONE, float("nan")), "rate is nan"),
        ((TONE, 10**5000), "rate is too large"),
        ((TONE, True), "frames a second"),
        ({"samples": [0.5], "rate": "fast"}, "rate is fast"),
        ({"samples": [10**30], "rate": 8000}, "samples are"),
        ((TONE[None], 8000), r"\(frames, channels\)"),
        ({"samples": [[0.1, 0.2], [0.3]], "rate": 8000}, "different numbers of channels"),
        ({"samples": "abc", "rate": 8000}, "samples are"),
        ({"data": [0.1]}, "object with"),
        (3, "no sound"),
    ],
)
def test_what_is_no_clip_is_refused_in_words(value, words):
    with pytest.raises(InputError, match=words):
        AUDIO.decode(value, config())


@pytest.mark.parametrize("rate", [1000, 8000, 16_000, 384_000])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_clip_of_few_samples_is_followed_by_silence(rate, count):
    decoded = AUDIO.decode((np.full(count, 0.5), rate), config())
    assert np.isfinite(decoded).all()
    assert (decoded[0, :, -1] == np.float32(-80)).all()


def test_numbers_alone_do_not_say_their_rate():
    with pytest.raises(InputError, match="rate"):
        AUDIO.split_batch(TONE, config())
    with pytest.raises(InputError, match="rate"):
        AUDIO.from_json([0.1, 0.2], config())


def test_memory_is_told_by_the_header_and_bounded_by_the_window():
    chosen = config()
    second = AUDIO.weigh(sound(np.zeros((16_000, 2)), 16_000), chosen, PictureLimits())
    minute = AUDIO.weigh(sound(np.zeros((16_000 * 60, 2)), 16_000), chosen, PictureLimits())
    wide = AUDIO.weigh(sound(np.zeros((48_000, 16)), 48_000), chosen, PictureLimits())
    assert minute == second < wide
    assert AUDIO.weigh((TONE, 16_000), chosen, PictureLimits()) == 0
    with pytest.raises(InputError, match="are the most"):
        AUDIO.weigh(sound(TONE), chosen, PictureLimits(working_bytes=1000))


def test_a_clip_is_played_as_the_model_hears_it():
    chosen = config(seconds=0.3)
    data = AUDIO.media(sound(np.stack([TONE, TONE], 1), 16_000, "OGG"), chosen)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (len(samples), rate) == (4800, 16_000)
    assert np.corrcoef(samples[200:-200], TONE[1600:6400][200:-200])[0, 1] > 0.98


def test_tiles_have_low_tones_below_and_loud_ones_white():
    chosen = config()
    prepared = AUDIO.decode_batch([(tone(100), 16_000), (tone(7000), 16_000)], chosen)
    tiles, white = AUDIO.tiles(prepared, chosen)
    assert tiles.shape[:3] == (2, 1, 40)
    assert 0 <= tiles.min() < 0.1
    assert 0.7 < tiles.max() <= white == 1
    rows = tiles[:, 0].mean(axis=2).argmax(axis=1)
    assert rows[0] > 35
    assert rows[1] < 5


def test_without_the_extra_it_is_listed_with_its_reason(monkeypatch):
    def missing(module, **words):
        raise MissingDependencyError(f"no {module}")

    monkeypatch.setattr("workbench.core.plugins.is_installed", lambda name: name != "soundfile")
    info = MODALITIES.info("audio")
    assert info.reason == "needs soundfile: pip install 'maas-workbench[audio]'"
    assert info.summary
    monkeypatch.setattr("workbench.data.sound_file.require", missing)
    with pytest.raises(MissingDependencyError):
        AUDIO.decode(wav_bytes(TONE, 16_000), config())
    assert require("numpy", for_="tests") is np
