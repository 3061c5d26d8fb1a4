import base64
import io

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.serving.served import Source

PATH = "/predict/数字"


def labels(response):
    assert response.status_code == 200, response.text
    return [item["label"] for item in response.json()["predictions"]]


def test_digits_are_told_apart_over_http_as_well_as_in_python(endpoint):
    _, test, _, targets = models.digits()
    found = labels(endpoint.http.post(PATH, json={"inputs": test.tolist()}))
    right = [models.LABELS[target] for target in targets]
    assert np.mean([a == b for a, b in zip(found, right, strict=True)]) > 0.93


def test_every_way_to_send_one_digit_gives_the_same_answer(endpoint):
    _, test, _, _ = models.digits()
    digit, picture = test[0], models.png(test[0])
    text = base64.b64encode(picture).decode()
    buffer = io.BytesIO()
    np.save(buffer, digit)
    send = endpoint.http.post
    answers = [
        send(PATH, json={"inputs": digit.tolist()}),
        send(PATH, json={"inputs": [digit.tolist()]}),
        send(PATH, json={"inputs": text}),
        send(PATH, json={"inputs": {"b64": text}}),
        send(PATH, json={"inputs": [{"b64": text}]}),
        send(PATH, json={"inputs": f"data:image/png;base64,{text}"}),
        send(PATH, content=picture, headers={"content-type": "image/png"}),
        send(PATH, content=picture, headers={"content-type": "application/octet-stream"}),
        send(PATH, files={"file": ("数字.png", picture, "image/png")}),
        send(PATH, files={"inputs": (None, str(digit.tolist()))}),
        send(PATH, content=buffer.getvalue(), headers={"content-type": "application/x-npy"}),
    ]
    assert {label for answer in answers for label in labels(answer)} == set(labels(answers[0]))
    assert all(len(labels(answer)) == 1 for answer in answers)


def test_scores_are_probabilities_by_label_and_the_version_is_named(endpoint):
    _, test, _, _ = models.digits()
    body = endpoint.http.post(PATH, json={"inputs": test[:3].tolist()}).json()
    assert (body["model"], body["version"]) == ("数字", "3")
    for item in body["predictions"]:
        assert tuple(item["scores"]) == models.LABELS
        assert sum(item["scores"].values()) == pytest.approx(1)
        assert max(item["scores"], key=item["scores"].get) == item["label"]


def test_probabilities_are_not_squashed_twice(digits_file, digits_source):
    from dataclasses import replace

    described = models.description(output="probabilities")
    with running(replace(digits_source, description=described)) as found:
        _, test, _, _ = models.digits()
        item = found.http.post("/predict", json={"inputs": test[0].tolist()}).json()
    scores = list(item["predictions"][0]["scores"].values())
    raw = np.asarray(scores)
    assert abs(raw.sum() - 1) > 0.01  # the file's own numbers, untouched


def test_a_bare_file_takes_tensors_only_and_says_so(endpoint):
    about = endpoint.http.get("/predict/digits").json()
    assert "tensors only" in about["takes"]
    zeros = np.zeros((2, 1, 8, 8)).tolist()
    answer = endpoint.http.post("/predict/digits", json={"inputs": zeros}).json()
    assert [len(item["scores"]) for item in answer["predictions"]] == [10, 10]
    refused = endpoint.http.post(
        "/predict/digits", content=b"\x89PNG", headers={"content-type": "image/png"}
    )
    assert refused.status_code == 422
    assert "tensors only" in refused.json()["message"]


def test_a_model_without_a_batch_dimension_answers(endpoint):
    answer = endpoint.http.post("/predict/square", json={"inputs": [1, 2, 3]}).json()
    assert answer["predictions"] == [{"scores": {"0": 1.0, "1": 4.0, "2": 9.0}}]


@pytest.mark.parametrize("is_described", [True, False])
def test_a_model_exported_for_one_sample_still_takes_a_batch(folder, is_described):
    path = models.save_digits_one(folder / "one.onnx")
    source = Source("one", "1", path, models.description() if is_described else None, "one")
    _, test, _, _ = models.digits()
    samples = test if is_described else test.reshape(-1, 1, 8, 8)
    with running(source) as found:
        for count in (1, 3, 40):
            answer = found.http.post("/predict", json={"inputs": samples[:count].tolist()})
            assert len(answer.json()["predictions"]) == count
        answer = found.http.post("/predict", json={"inputs": samples[0].tolist()})
        assert len(answer.json()["predictions"]) == 1


def test_several_inputs_are_given_by_name(endpoint):
    body = {"inputs": {"x": [1.5, 2.5], "count": [2, 3]}}
    answer = endpoint.http.post("/predict/pair", json=body).json()
    assert answer["predictions"] == [{"scores": {"0": 3.5, "1": 5.5}}]


def test_the_model_must_be_named_when_there_are_several(endpoint):
    answer = endpoint.http.post("/predict", json={"inputs": [1]})
    assert answer.status_code == 422
    assert "digits" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "empty body"),
        (b"{", 400, "line 1"),
        (b'{"inputs": [NaN]}', 400, "no NaN"),
        (b'{"inputs": [[1, 2], [3]]}', 422, "lengths"),
        (b'{"inputs": "not base64!"}', 422, "base64"),
        (b'{"inputs": "QUJD"}', 422, "picture"),
        (b'{"inputs": [[1, 2], [3, 4]]}', 422, "(8, 8)"),
        (b'{"inputs": []}', 422, "at least one"),
        (b'{"inputs": {"b64": 5}}', 422, "base64"),
        (b'{"inputs": {"path": "/etc/passwd"}}', 422, "path"),
        (b'{"inputs": "/etc/passwd"}', 422, "base64"),
        (b'{"inputs": null}', 422, "null"),
        (b'{"inputs": 1, "extra": 2}', 400, "extra"),
        (b"[" * 900 + b"]" * 900, 422, ""),
    ],
)
def test_bad_input_is_told_in_the_error_grammar(endpoint, body, status, says):
    answer = endpoint.http.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert {"code", "message", "hint", "problems"} <= set(error)
    assert says in answer.text or says in str(error)


def test_a_body_of_another_type_is_refused_with_those_that_are_taken(endpoint):
    answer = endpoint.http.post(PATH, content=b"x", headers={"content-type": "text/html"})
    assert answer.status_code == 415
    assert "image/*" in answer.json()["hint"]
    packed = endpoint.http.post(PATH, content=b"x", headers={"content-encoding": "gzip"})
    assert packed.status_code == 415


def test_a_pickle_is_never_read(endpoint):
    buffer = io.BytesIO()
    np.save(buffer, np.asarray([{"a": 1}], dtype=object), allow_pickle=True)
    answer = endpoint.http.post(
        PATH, content=buffer.getvalue(), headers={"content-type": "application/x-npy"}
    )
    assert answer.status_code == 422


def test_a_broken_form_is_refused(endpoint):
    for content in (b"", b"--x\r\n", b"--x\r\nnothing\r\n--x--", b"--x--"):
        answer = endpoint.http.post(
            PATH, content=content, headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 400, content
    no_boundary = {"content-type": "multipart/form-data"}
    assert endpoint.http.post(PATH, content=b"x", headers=no_boundary).status_code == 400


def test_every_problem_of_a_batch_is_listed_at_once(endpoint):
    _, test, _, _ = models.digits()
    good = base64.b64encode(models.png(test[0])).decode()
    wrong = base64.b64encode(b"no picture").decode()
    answer = endpoint.http.post(PATH, json={"inputs": [good, wrong, good, wrong]})
    assert answer.status_code == 422
    assert [text[:8] for text in answer.json()["problems"]] == ["input 1:", "input 3:"]


def test_numbers_beyond_float32_are_refused_in_words(endpoint):
    """In a picture by itself, in a batch, and in one that is decoded at once as an array."""
    large = np.zeros((8, 8))
    large[0, 0] = 1e300
    buffer = io.BytesIO()
    np.save(buffer, np.stack([large, large]))
    npy = {"content": buffer.getvalue(), "headers": {"content-type": "application/x-npy"}}
    asked = [{"json": {"inputs": large.tolist()}}, {"json": {"inputs": [large.tolist()]}}, npy]
    for options in asked:
        answer = endpoint.http.post(PATH, **options)
        assert answer.status_code == 422, answer.text
        assert "beyond float32" in answer.text
