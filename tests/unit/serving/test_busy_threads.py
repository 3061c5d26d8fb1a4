"""Whatever keeps the decoding threads busy, tokens are revoked and the endpoint ends."""

from __future__ import annotations

import io
import threading

import pytest
from PIL import Image

from tests.unit.data.test_picture_work import jpeg_of_scans
from workbench.data.modalities import MODALITIES

IMAGE = type(MODALITIES.get("image"))
PATH = "/predict/数字"
FORM = {"content-type": "image/png"}


def picture():
    file = io.BytesIO()
    Image.new("L", (64, 64)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def held(monkeypatch):
    """Decoding begins, and does not end before this is set."""
    gate, begun = threading.Event(), threading.Semaphore(0)

    def decode(self, value, config):
        begun.release()
        gate.wait()
        return real(self, value, config)

    real = IMAGE.decode
    monkeypatch.setattr(IMAGE, "decode", decode)
    yield gate, begun
    gate.set()


def test_tokens_are_made_and_revoked_while_every_decoding_thread_is_busy(endpoint, held):
    gate, begun = held
    callers = [
        threading.Thread(
            target=lambda: endpoint.http.post(PATH, content=picture(), headers=FORM), daemon=True
        )
        for _ in range(40)
    ]
    for caller in callers:
        caller.start()
    begun.acquire()
    assert endpoint.http.post("/manage/tokens", json={"name": "mine"}).status_code == 201
    assert endpoint.http.delete("/manage/tokens/mine").status_code in (200, 204)
    assert not gate.is_set(), "and no decoding had ended before that"
    gate.set()
    for caller in callers:
        caller.join()


def test_many_scans_are_the_callers_fault(endpoint):
    headers = {"content-type": "image/jpeg"}
    answer = endpoint.http.post(PATH, content=jpeg_of_scans(500), headers=headers)
    assert answer.status_code == 422
    assert "scans of a JPEG" in answer.text
