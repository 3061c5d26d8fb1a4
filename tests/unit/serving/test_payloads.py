"""Kept payloads: only when asked for, without what tells a person, and as the next data set."""

import json
import stat

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import InputError, NotFoundError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.data import load
from workbench.serving.client import Client
from workbench.serving.payloads import Keeping, redacted
from workbench.serving.replay import kept_request, replay
from workbench.serving.served import Source
from workbench.serving.service import Settings
from workbench.store import open_store

COUNT = 110
KEEP = Settings(keeping=Keeping(redact=("notes",)))


def lines(folder):
    text = "".join(path.read_text() for path in (folder / "payloads").glob("*.jsonl"))
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def digits(store, digits_source):
    """Sends some digits to an endpoint that keeps payloads; gives the workspace."""
    _, test, _, _ = models.digits()
    with running(digits_source, settings=KEEP, log_folder=store.home.requests) as found:
        with Client(found.url, found.token) as client:
            for digit in test[:COUNT]:
                client.predict(digit)
            client.predict(test[COUNT : COUNT + 10])
            client.predict(models.png(test[200]))
        wait_for(lambda: len(lines(store.home.requests)) == COUNT + 2)
    return store


def test_by_default_nothing_is_kept(store, digits_source):
    with running(digits_source, log_folder=store.home.requests) as found:
        assert found.http.post("/predict", json={"inputs": np.zeros((8, 8)).tolist()}).is_success
    assert not (store.home.requests / "payloads").exists()
    with pytest.raises(NotFoundError, match="kept any payload") as error:
        load(store, "request_log")
    assert "--keep-payloads" in error.value.hint


def test_kept_requests_are_a_dataset_of_what_people_sent(digits):
    _, test, _, _ = models.digits()
    data = load(digits, "request_log")
    assert (data.modality, data.task, data.labels) == ("image", "classification", models.LABELS)
    assert data.name == "数字-requests"
    parts = (data.train, data.val, data.test)
    found = np.concatenate([np.asarray(part.inputs) for part in parts])
    order = np.argsort(np.concatenate([part.indices for part in parts]))
    np.testing.assert_array_equal(found[order][:COUNT, 0], test[:COUNT])
    assert any("own answers" in finding.message for finding in data.findings)
    (path,) = (digits.home.requests / "payloads").glob("*.jsonl")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_half_a_line_of_the_log_is_left_out_and_told(digits, tmp_path):
    home = open_store(tmp_path).home
    (path,) = (digits.home.requests / "payloads").glob("*.jsonl")
    whole = path.read_bytes()
    (home.requests / "payloads").mkdir()
    torn = whole.splitlines(keepends=True)[0][:40] + b"\n"
    (home.requests / "payloads" / path.name).write_bytes(torn + whole + b"\xff\xfe\n{}\n")
    data = load(open_store(tmp_path), "request_log")
    (told,) = [one.message for one in data.findings if one.kind == "unreadable_lines"]
    assert told.startswith("3 lines")


def test_the_truth_takes_the_place_of_the_answers(digits):
    _, _, _, targets = models.digits()
    labels = [models.LABELS[target] for target in targets[:COUNT]]
    kept = lines(digits.home.requests)[:COUNT]
    truth = {line["id"]: label for line, label in zip(kept, labels, strict=True)}
    data = load(digits, "request_log", model="数字", truth=truth)
    indices = np.concatenate([part.indices for part in (data.train, data.val, data.test)])
    known = np.concatenate([part.targets for part in (data.train, data.val, data.test)])
    np.testing.assert_array_equal(known[np.argsort(indices)], targets[:COUNT])
    assert not any("own answers" in finding.message for finding in data.findings)


def test_choices_that_fit_nothing_are_told(digits):
    with pytest.raises(NotFoundError, match="did you mean '数字'"):
        load(digits, "request_log", model="数字1")
    with pytest.raises(InputError, match="was chosen"):
        load(digits, "request_log", number="99")
    with pytest.raises(NotFoundError, match="in this time"):
        load(digits, "request_log", until="2000-01-01")


def test_rows_are_kept_by_column_without_what_tells_a_person(store, folder):
    source = Source("churn", "1", *_table_model(folder), "churn")
    with running(source, settings=KEEP, log_folder=store.home.requests) as found:
        with Client(found.url, found.token) as client:
            for age in range(20, 60):
                row = {"age": age, "plan": "ab"[age % 2], "email": "a@b.de", "notes": "x"}
                assert client.predict(row)
        wait_for(lambda: len(lines(store.home.requests)) == 40)
    (row,) = lines(store.home.requests)[0]["rows"]
    assert row == {"age": 20, "plan": "a", "email": None, "notes": None}
    data = load(store, "request_log")
    assert data.task == "regression"
    assert set(data.train[0].input) >= {"age", "plan"}


def test_texts_lose_addresses_and_long_numbers():
    row = {
        "text": "Write to jo.doe@example.com or +49 170 1234567, from 10.0.0.1, 3.14 times",
        "amount": 1234567890123,
        "first_name": "Jo",
        "filename": "kept.txt",
    }
    assert redacted(row) == {
        "text": "Write to [redacted] or [redacted], from [redacted], 3.14 times",
        "amount": 1234567890123,
        "first_name": None,
        "filename": "kept.txt",
    }


def test_a_full_day_and_a_full_disk_fail_no_request(store, digits_source):
    settings = Settings(keeping=Keeping(day_bytes=1000))
    with running(digits_source, settings=settings, log_folder=store.home.requests) as found:
        for _ in range(5):
            answer = found.http.post("/predict", json={"inputs": np.zeros((8, 8)).tolist()})
            assert answer.status_code == 200
        lost = 'workbench_log_lines_lost{log="payloads"} '
        wait_for(lambda: lost + "4" in found.http.get("/metrics").text)


def _table_model(folder):
    """The sum of what a table's modality makes of its columns."""
    people = {"email": ["a@b.de", "c@d.de"] * 20, "notes": ["x", "y"] * 20}
    frame = {"age": list(range(40)), "plan": ["a", "b"] * 20, **people}
    frame["y"] = [0.5 * age for age in frame["age"]]
    made = load(open_store(folder / "made"), "table", frame=frame, target="y")
    (width,) = made.sample_shape
    path = models.save_linear(folder / "sum.onnx", np.ones((width, 1), np.float32))
    signature = Signature(
        (TensorSpec("input", "float32", ("batch", width)),),
        (TensorSpec("output", "float32", ("batch", 1)),),
    )
    preprocessing = {"kind": "table", "version": 1, **made.preprocessing.to_json()}
    return path, Description("regression", "value", (), signature, "table", preprocessing)


def test_a_kept_request_is_found_in_the_log_and_answered_again(store, digits_source):
    _, test, _, _ = models.digits()
    folder = store.home.requests
    with running(digits_source, settings=KEEP, log_folder=folder) as found:
        with Client(found.url, found.token) as client:
            client.predict(test[:3])
            client.about()
        wait_for(lambda: lines(folder))
    (log,) = folder.glob("*.jsonl")
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    (kept,) = [line["kept"] for line in logged if "kept" in line]
    line = kept_request(folder / "payloads", kept)
    again = replay(line, digits_source)
    assert again.is_same
    assert again.then == again.now == line["answers"]
    assert again.largest < 1e-5
    assert "answers the same here" in again.words
    wrong = {**line, "answers": [models.LABELS[0] + "?"] * 3, "scores": [0.5] * 3}
    assert not replay(wrong, digits_source).is_same
    assert "answers otherwise here" in replay(wrong, digits_source).words
    with pytest.raises(NotFoundError, match="No request 'nothing' was kept"):
        kept_request(folder / "payloads", "nothing")
