"""What decoding may take: of one request, and of all of a process at once."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.unit.data.bombs import BOMBS, FOREIGN, LARGE
from workbench.core.errors import InputError, OverloadedError
from workbench.data.modalities import MODALITIES
from workbench.serving.decoding_room import DecodeLimits, DecodingRoom, limits_for
from workbench.serving.options import parse, parser

IMAGE = MODALITIES.get("image")
CONFIG = MODALITIES.parse("image", {"size": (8, 8), "channels": 3, "layout": "hwc"})
PICTURE = LARGE["PNG RGB"](100)
WEIGHT = IMAGE.weigh(PICTURE, CONFIG, DecodeLimits().picture)
PATH = "/predict/数字"


def take(room, samples):
    with room.taken(IMAGE, samples, CONFIG):
        pass


def test_what_others_decode_just_now_counts():
    room = DecodingRoom(DecodeLimits(at_once_bytes=2 * WEIGHT))
    with room.taken(IMAGE, [PICTURE], CONFIG):
        with pytest.raises(OverloadedError, match="just now") as caught:
            take(room, [PICTURE])
        assert caught.value.context["retry_after_s"] == 1
        take(room, np.zeros((5, 8, 8, 3)))
    take(room, [PICTURE])


def test_room_is_given_back_when_decoding_fails():
    room = DecodingRoom(DecodeLimits(at_once_bytes=2 * WEIGHT))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.taken(IMAGE, [PICTURE], CONFIG):
            raise ZeroDivisionError


def test_the_samples_of_one_request_are_added_up():
    room = DecodingRoom(DecodeLimits(request_bytes=10 * WEIGHT))
    take(room, [PICTURE] * 8)
    with pytest.raises(InputError, match="Decoding these 11 inputs takes") as caught:
        take(room, [PICTURE] * 11)
    assert "--max-decoding" in caught.value.hint


def test_every_picture_beyond_the_limits_is_told():
    bomb = BOMBS["PNG gray 16, as found"]()
    with pytest.raises(InputError, match="2 inputs cannot be read") as caught:
        take(DecodingRoom(), [bomb, PICTURE, FOREIGN["PostScript"]])
    assert "50 million are the most" in caught.value.problems[0]
    assert caught.value.problems[1].startswith("input 2: PostScript (EPS) is not opened")


def test_the_limits_come_from_the_command_line():
    words = ["a.onnx", "--max-picture-pixels", "399", "--max-decoding", "5000", "--workers", "2"]
    limits = parse(parser().parse_args(words)).settings.room.limits
    assert limits == limits_for(399, 2500)
    assert (limits.picture.pixels, limits.picture.working_bytes) == (399, 1250)


@pytest.mark.parametrize("name", ["PNG gray 16, as found", "JPEG progressive", "TIFF tiles"])
def test_a_bomb_is_the_callers_fault_however_it_comes(endpoint, name):
    bomb = BOMBS[name]()
    text = base64.b64encode(bomb).decode()
    for options in (
        {"content": bomb, "headers": {"content-type": "image/png"}},
        {"files": {"file": ("a.png", bomb, "image/png")}},
        {"json": {"inputs": text}},
        {"json": {"inputs": [text, text]}},
    ):
        answer = endpoint.http.post(PATH, **options)
        assert answer.status_code == 422, answer.text
        assert "not opened" in answer.text


def test_clips_of_one_request_are_added_up_by_their_headers():
    sounds = pytest.importorskip("tests.unit.data.sounds")
    audio = MODALITIES.get("audio")
    config, _ = audio.fit([], np.array([[16_000, 2, 16_000]] * 3), {})
    clip = sounds.sound(np.zeros((160_000, 2)), 16_000, "FLAC")
    weight = audio.weigh(clip, config, DecodeLimits().picture)
    room = DecodingRoom(DecodeLimits(request_bytes=10 * weight, at_once_bytes=2 * weight))
    with room.taken(audio, [clip] * 8, config), pytest.raises(OverloadedError):
        room.taken(audio, [clip], config).__enter__()
    with pytest.raises(InputError, match="Decoding these 11 inputs takes"):
        room.taken(audio, [clip] * 11, config).__enter__()
    with pytest.raises(InputError, match="input 1: a text is not opened"):
        room.taken(audio, [clip, b"words"], config).__enter__()
