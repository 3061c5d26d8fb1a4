"""Metrics and the request log: what an operator sees."""

import json
import re

import numpy as np
import pytest

from tests.unit.serving.harness import running, wait_for
from workbench.serving.metrics import Histogram, Metrics
from workbench.serving.request_log import RequestLog

ZEROS = np.zeros((2, 1, 8, 8)).tolist()


def page(found):
    text = found.http.get("/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z_]+(\{[^{}]*\})? [0-9.e+-]+(inf)?", line) for line in lines), text
    return text


def test_requests_errors_rows_and_times_are_counted_by_model_and_version(digits_file):
    with running(digits_file) as found:
        for _ in range(3):
            found.http.post("/predict", json={"inputs": ZEROS})
        found.http.post("/predict/digits", json={"inputs": [[1]]})
        found.http.post("/predict/none", json={"inputs": ZEROS})
        text = page(found)
    of = 'model="digits",version="1"'
    assert f'workbench_requests_total{{{of},dialect="predict",status="200"}} 3' in text
    assert f'workbench_requests_total{{{of},dialect="predict",status="422"}} 1' in text
    assert 'workbench_requests_total{dialect="predict",status="404"} 1' in text
    assert f'workbench_errors_total{{{of},code="bad_input"}} 1' in text
    assert f"workbench_request_seconds_count{{{of}}} 4" in text
    assert f'workbench_request_seconds_bucket{{{of},le="+Inf"}} 4' in text
    assert f"workbench_batch_rows_sum{{{of}}} 6" in text
    assert f"workbench_in_flight{{{of}}} 0" in text
    for stage in ("decode", "queue", "encode"):
        assert f"workbench_{stage}_seconds_count{{{of}}} 3" in text
    assert 'workbench_limit{what="queue"} 512' in text
    assert f"workbench_queue{{{of}}} 0" in text
    assert "process_resident_memory_bytes" in text


def test_asking_what_a_model_takes_is_no_request_of_the_model(digits_file):
    with running(digits_file) as found:
        assert found.http.get("/predict").status_code == 200
        assert found.http.get("/v2/models/digits").status_code == 200
        text = page(found)
    of = 'model="digits",version="1"'
    assert f"workbench_request_seconds_count{{{of}}} 0" in text
    assert f"workbench_decode_seconds_count{{{of}}} 0" in text
    assert 'workbench_requests_total{dialect="predict",status="200"} 1' in text


def test_metrics_need_a_token_of_any_scope(endpoint):
    import httpx

    url = f"{endpoint.url}/metrics"
    assert httpx.get(url, trust_env=False).status_code == 401
    headers = {"authorization": f"Bearer {endpoint.reader}"}
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200


def test_labels_are_escaped():
    metrics = Metrics()
    metrics.model('a"b\n', "1").count("v2", 200, 0.1)
    assert 'model="a\\"b\\n"' in metrics.render().decode()


def test_a_histogram_counts_a_value_at_its_bound_within():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 2.0, 3.0):
        histogram.observe(value)
    assert histogram.counts == [2, 1, 1]


def test_each_request_is_a_line_with_its_stages_but_without_its_payload(digits_file, tmp_path):
    with running(digits_file, log_folder=tmp_path / "requests") as found:
        found.http.post("/predict", json={"inputs": ZEROS})
        found.http.post("/predict", json={"inputs": "geheim"})
        found.http.get("/v2/health/live")
    (path,) = (tmp_path / "requests").glob("????-??-??.jsonl")
    good, bad = (json.loads(line) for line in path.read_text().splitlines())
    assert (good["model"], good["version"], good["status"]) == ("digits", "1", 200)
    assert (good["rows"], good["caller"]) == (2, "main")
    stages = [good[f"{stage}_ms"] for stage in ("decode", "queue", "predict", "encode")]
    assert min(stages) >= 0
    assert sum(stages) == pytest.approx(good["total_ms"], abs=0.01)
    assert (bad["status"], bad["error"]) == (422, "bad_input")
    assert "geheim" not in path.read_text()


def test_a_log_that_cannot_be_written_fails_no_request(digits_file, tmp_path):
    (tmp_path / "file").write_text("")
    with running(digits_file, log_folder=tmp_path / "file") as found:
        assert found.http.post("/predict", json={"inputs": ZEROS}).status_code == 200
        wait_for(
            lambda: 'workbench_log_lines_lost{log="requests"} 1' in found.http.get("/metrics").text
        )


def test_a_stuck_log_drops_lines_instead_of_growing(tmp_path):
    log = RequestLog(tmp_path)  # never started: nothing is taken out
    for _ in range(20_001):
        log.add(b'{"time":"2026-11-22"}')
    assert log.lost == 1
