"""What panels show: pure functions from records to values."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.serving import models as serving_models
from tests.unit.serving.harness import running
from workbench.core.errors import InputError, NotFoundError
from workbench.screens.views import dataset, endpoint, study, version
from workbench.screens.views.run import RunView, thinned
from workbench.serving.service import Settings


def test_a_run_reads_only_what_is_new(road):
    view = RunView(road.run)
    assert view.read()
    assert not view.read()
    state = view.state()
    assert (state["status"], state["metric_name"], state["epochs"]) == ("succeeded", "accuracy", 2)
    assert state["can"] == []
    epochs = np.frombuffer(base64.b64decode(view.curves()["epochs"]), np.float32).reshape(-1, 4)
    assert epochs[:, 0].tolist() == [1, 2]
    assert epochs[1, 3] == pytest.approx(road.run.metrics["val_accuracy"], abs=1e-3)
    json.dumps(state)


def test_long_curves_keep_their_peaks():
    points = np.zeros((50_000, 2), np.float32)
    points[:, 0] = np.arange(50_000)
    points[33_333, 1] = 9
    kept = thinned(points)
    assert len(kept) <= 1200
    assert kept[:, 1].max() == 9
    assert (np.diff(kept[:, 0]) > 0).all()


def test_a_study_tells_points_methods_and_one_sentence(road):
    state = study.state(road.study)
    assert {p["recipe"] for p in state["points"]} >= {"baseline", "half:fp16"}
    json.dumps(state)
    disabled = {m["key"]: m["reason"] for m in study.methods(is_onnx_only=True) if m["reason"]}
    assert "PyTorch" in disabled["prune_structured"]
    assert study.verdict(road.study).startswith("Recommended: ")
    assert study.weight_bytes(road.study) > 2000


def test_a_dataset_has_tiles_of_every_class(road):
    found = dataset.gallery(road.data, "train")
    assert set(found["names"]) == set(road.data.labels)
    assert found["png"].startswith("data:image/png;base64,")
    only = dataset.gallery(road.data, "val", 3)
    assert set(only["names"]) == {"3"}


def test_augmentation_is_shown_before_and_after(road):
    shown = dataset.augmented(road.data, "train", 0, "shift:1", copies=3)
    assert shown["count"] == 4
    with pytest.raises((InputError, NotFoundError), match="shift"):
        dataset.augmented(road.data, "train", 0, "shfit:1")
    with pytest.raises(InputError, match="no number"):
        dataset.augmented(road.data, "train", 10**6, "shift:1")


def test_a_table_shows_rows_and_histograms(road, tmp_path):
    path = tmp_path / "flowers.csv"
    rows = [f"{i % 7 / 2},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}" for i in range(120)]
    path.write_text("\n".join(["length,color,bloom", *rows]))
    table = road.workspace.load(path, target="bloom")
    shown = dataset.table_rows(table, "train")
    assert shown["columns"] == ["length", "color"]
    assert sum(shown["histograms"]["length"]) > 50
    assert shown["histograms"]["color"] is None
    assert "flowers" in table._repr_html_()


def test_a_version_tells_lineage_and_what_a_rollback_would_do(road):
    state = version.state(road.workspace, "digits-linear", None)
    chosen = state["selected"]
    assert ["recipe", "half:fp16"] in chosen["lineage"]
    assert chosen["earlier"] == {"champion": None}
    assert chosen["champion"]["ref"] == road.version.ref
    assert [a[1] for a in chosen["audit"]][-1] == "register"
    json.dumps(state)


def metrics_page(fast: int, slow: int) -> str:
    return "\n".join(
        [
            'workbench_requests_total{model="m",version="1",dialect="predict",status="200"} '
            f"{fast + slow - 2}",
            'workbench_requests_total{model="m",version="1",dialect="predict",status="422"} 2',
            'workbench_requests_total{dialect="app",status="200"} 500',
            f'workbench_request_seconds_bucket{{model="m",version="1",le="0.001"}} {fast}',
            f'workbench_request_seconds_bucket{{model="m",version="1",le="0.01"}} {fast + slow}',
            f'workbench_request_seconds_bucket{{model="m",version="1",le="+Inf"}} {fast + slow}',
            'workbench_request_seconds_sum{model="m",version="1"} 0.02',
            f'workbench_decode_seconds_sum{{model="m",version="1"}} {0.001 * (fast + slow)}',
            'workbench_limit{what="body_bytes"} 1000',
            'workbench_queue{model="m",version="1"} 0',
        ]
    )


def test_the_score_of_a_version_is_the_metric_of_its_task_never_the_loss():
    metrics = {"val_loss": 0.55, "val_mae": 3.1, "val_r2": 0.45, "val_rmse": 4.2}
    registered = SimpleNamespace(
        metrics=metrics, manifest={"description": {"task": "regression"}}, ref="model:m@1",
        name="m", number=1, aliases=[], size_bytes=10, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    row = version.row(registered)
    assert (row["metric"], row["score"]) == ("r2", 0.45)


def test_latency_is_read_from_the_prometheus_page():
    found = endpoint.figures(metrics_page(6, 4))
    assert (found["requests"], found["errors"]) == (10, 2)
    assert (found["p50_ms"], found["p99_ms"]) == (1, 10)
    assert found["seconds"]["request"] == 0.02
    assert (found["limits"], found["version"]) == ({"body_bytes": 1000}, "1")


def test_questions_about_a_model_are_no_requests_but_refusals_are_errors():
    page = metrics_page(6, 4)
    page += '\nworkbench_requests_total{dialect="predict",status="200"} 7'
    page += '\nworkbench_requests_total{dialect="v2",status="401"} 3'
    found = endpoint.figures(page + "\n")
    assert (found["requests"], found["errors"]) == (13, 5)


def test_between_two_looks_only_what_came_between_counts():
    before, after = endpoint.figures(metrics_page(6, 4)), endpoint.figures(metrics_page(6, 54))
    window = endpoint.between(before, after)
    assert (window["count"], window["errors_now"]) == (50, 0)
    assert (window["p50_ms"], window["p99_ms"]) == (10, 10)
    assert dict(window["split"])["decode"] == pytest.approx(1)
    assert endpoint.between(after, after)["split"] == []


def test_recent_requests_come_from_the_log_newest_first_without_other_endpoints(tmp_path):
    def line(time, model, **more):
        stages = {f"{s}_ms": 1.0 for s in endpoint.STAGES}
        row = {"time": time, "dialect": "v2", "method": "POST", "status": 200, "model": model}
        return json.dumps({**row, "total_ms": 4.0, **stages, **more})

    lines = [
        line("2026-11-21T23:59:59.000Z", "m"),
        *(line(f"2026-11-22T00:00:{i:02}.000Z", "m") for i in range(20)),
        line("2026-11-22T00:01:00.000Z", "other"),
        line("2026-11-22T00:01:01.000Z", "m", method="GET"),
    ]
    (tmp_path / "2026-11-22.jsonl").write_text("\n".join([*lines, '{"time":"2026-half a li']))
    found = endpoint.recent(tmp_path, ["m"], "2026-11-22T00:00:00.000Z")
    assert [row["time"] for row in found[:2]] == ["00:00:19", "00:00:18"]
    assert len(found) == 12
    assert found[0]["split"] == [[s, 1.0] for s in endpoint.STAGES]


def test_the_grpc_snippet_is_a_program_that_works(tmp_path, monkeypatch, capsys):
    file = serving_models.save_two_inputs(tmp_path / "pair.onnx")
    with running(file, settings=Settings(grpc_port=0)) as found:
        address = f"127.0.0.1:{found.service.grpc_port}"
        shown = SimpleNamespace(grpc=address, info=SimpleNamespace(certificate=""))
        about = found.service.router.find("pair").about()
        monkeypatch.setenv("WORKBENCH_TOKEN", found.token)
        names = {}
        exec(endpoint.grpc_snippet(shown, about), names)
        names["client"].close()
    assert capsys.readouterr().out.strip() == "[[0. 0.]]"
    shown.grpc = ""
    assert endpoint.grpc_snippet(shown, about) == ""
