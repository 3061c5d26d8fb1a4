"""Clips go the whole road: folder, training, study, register, serve, and the same scores."""

from __future__ import annotations

import base64
import json
import urllib.request

import numpy as np
import pytest

from tests.unit.data.sounds import clip_folder, sound, tone
from workbench.core.errors import InputError, WorkbenchError
from workbench.data.sound_file import wav_bytes
from workbench.flow.workspace import Workspace
from workbench.runtime.session import open_session
from workbench.screens.endpoint import EndpointScreen
from workbench.serving.container.config import ContainerConfig
from workbench.serving.container.context import write_context


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clips") / "声音", count=16)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("audio") / ".workbench", inline=True)


@pytest.fixture(scope="module")
def data(space, clips):
    return space.load(clips)


@pytest.fixture(scope="module")
def run(space, data):
    return space.train(data, "cnn", epochs=8, threads=1, width=8, seed=0)


@pytest.fixture(scope="module")
def variant(space, data, run):
    return space.study(run, data).measure("prune:0.3 + quantize_static:8")


@pytest.fixture(scope="module")
def version(space, run):
    return space.register(run, "sounds")


@pytest.fixture(scope="module")
def endpoint(space, version):
    endpoint = space.serve(version)
    yield endpoint
    endpoint.stop()


def post(endpoint, path, body, content_type):
    headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": content_type}
    request = urllib.request.Request(f"{endpoint.url}{path}", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["predictions"]


def scores(answers, labels):
    return np.array([[answer["scores"][label] for label in labels] for answer in answers])


@pytest.fixture(scope="module")
def expected(space, data, run):
    """Shares of each class of the exported file, of all that is not trained on."""
    inputs = np.concatenate([data.val.inputs, data.test.inputs])
    logits = open_session(space.export(run).path).run(inputs)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_it_learns_what_is_heard(run):
    assert run.metrics["val_accuracy"] > 0.8


def test_it_is_compressed(space, data, run, variant):
    assert variant.size_bytes < space.study(run, data).baseline.size_bytes
    assert variant.score > 0.6


def test_a_compressed_one_is_served_and_verified(space, variant):
    version = space.register(variant, "sounds-small")
    space.verify(version.ref)
    endpoint = space.serve(version)
    try:
        (found,) = endpoint.predict(sound(tone(500, 8000, 0.3), 8000))
    finally:
        endpoint.stop()
    assert found.label in {"chirp", "noise", "音"}


def test_samples_of_the_data_get_the_scores_of_the_file(endpoint, data, expected):
    samples = [sample.input for sample in (*data.val[:], *data.test[:])]
    found = endpoint.predict(samples)
    got = [[prediction.scores[label] for label in data.labels] for prediction in found]
    assert np.allclose(got, expected, atol=1e-4)


def test_files_by_path_bytes_body_form_and_json_get_the_same(endpoint, data, clips, expected):
    files = sorted(path.relative_to(clips).as_posix() for path in clips.rglob("*.*"))
    rows = list(data.val.indices)[:4]
    for number, row in enumerate(rows):
        path = clips / files[row]
        content = path.read_bytes()
        text = base64.b64encode(content).decode()
        form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        answers = [
            *post(endpoint, "/predict", content, "application/octet-stream"),
            *post(endpoint, "/predict", content, f"audio/{path.suffix[1:]}"),
            *post(
                endpoint,
                "/predict",
                form + content + b"\r\n--x--\r\n",
                "multipart/form-data; boundary=x",
            ),
            *post(endpoint, "/predict", json.dumps({"inputs": text}).encode(), "application/json"),
            *post(
                endpoint,
                "/predict",
                json.dumps({"inputs": {"b64": text}}).encode(),
                "application/json",
            ),
        ]
        assert np.allclose(scores(answers, data.labels), expected[number], atol=1e-4)
        (by_path,) = endpoint.predict(path)
        (by_name,) = endpoint.predict(str(path))
        assert by_path.scores == by_name.scores
        assert by_path.label == answers[0]["label"]


def test_samples_with_their_rate_are_taken(endpoint, data):
    clip = tone(700, 22_050, 0.3, 0.5)
    (by_samples,) = endpoint.predict({"samples": clip, "rate": 22_050})
    (by_file,) = endpoint.predict(wav_bytes(clip, 22_050))
    assert by_samples.scores == pytest.approx(by_file.scores, abs=1e-5)


def test_tensors_go_in_by_v2(endpoint, data, expected):
    outputs = endpoint.client.infer({"input": np.asarray(data.val.inputs, np.float32)})
    logits = next(iter(outputs.values()))
    assert (logits.argmax(axis=1) == expected[: len(data.val)].argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"only text", "audio/wav", "a text is not opened"),
        (sound(tone(9), 16_000)[:-500], "audio/wav", "cut off"),
        (b'{"inputs": [0.1, 0.2]}', "application/json", "rate"),
        (b'{"inputs": {"samples": [], "rate": 8000}}', "application/json", "0 frames"),
    ],
)
def test_what_is_no_clip_is_refused_in_words(endpoint, body, kind, words):
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(endpoint, "/predict", body, kind)
    answer = json.load(caught.value)
    assert 400 <= caught.value.code < 500
    assert words in " ".join([answer["message"], *answer["problems"], answer["hint"]])


def test_bad_clips_of_one_request_are_told_all_at_once(endpoint):
    with pytest.raises(InputError) as caught:
        endpoint.predict([b"no", wav_bytes(tone(99), 16_000), b""])
    assert [text[:7] for text in caught.value.problems] == ["input 0", "input 2"]
    with pytest.raises(WorkbenchError, match="rate"):
        endpoint.predict(tone(99))


def test_the_endpoint_says_which_files_it_takes(endpoint):
    about = endpoint.client.about()
    assert about["files"]["noun"] == "clip"
    assert about["files"]["accept"].startswith("audio/*,")
    assert set(about["example"]) == {"samples", "rate"}


def test_a_container_has_what_decodes_clips(space, version, tmp_path):
    context = write_context(space.store, ["model:sounds@1"], tmp_path / "box", ContainerConfig())
    pinned = {
        line.split("==")[0] for line in (context.folder / "requirements.txt").read_text().split()
    }
    assert {"soundfile", "soxr", "numpy"} <= pinned
    assert "torch" not in pinned


def test_the_endpoint_s_panel_sends_a_clip_and_lets_it_be_heard(space, endpoint):
    screen = EndpointScreen(space, endpoint)
    assert screen.row == {}
    told = screen.do("try_sample")["reply"]
    assert screen.answer["label"] in {"chirp", "noise", "音"}
    assert screen.answer["png"].startswith("data:image/png")
    assert told["sample"]["type"] == "audio/wav"
    content = base64.b64encode(wav_bytes(tone(500, 8000, 0.3), 8000)).decode()
    screen.do("try_file", {"name": "a.wav", "data": content})
    assert screen.answer["file"] == "a.wav"
    screen.close()
