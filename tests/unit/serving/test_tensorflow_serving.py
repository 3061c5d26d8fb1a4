"""TensorFlow Serving's REST forms, sent by plain HTTP: its own client brings all of TensorFlow."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.serving.follow import Follower
from workbench.serving.served import Source

MODEL = "/v1/models/digits"
PREDICT = f"{MODEL}:predict"


def test_rows_and_columns_give_the_models_own_numbers(endpoint, batch, logits):
    data = batch.tolist()
    rows = endpoint.http.post(PREDICT, json={"instances": data})
    np.testing.assert_allclose(rows.json()["predictions"], logits, rtol=1e-4, atol=1e-4)
    named = endpoint.http.post(PREDICT, json={"instances": [{"input": row} for row in data]})
    assert named.json() == rows.json()
    for inputs in (data, {"input": data}):
        body = {"signature_name": "serving_default", "inputs": inputs}
        columns = endpoint.http.post(f"{MODEL}/versions/1:predict", json=body)
        assert columns.json() == {"outputs": rows.json()["predictions"]}


def test_several_inputs_and_outputs_are_objects(endpoint):
    rows = [{"x": [1, 2], "count": [3, 4]}, {"x": [0.5, 1], "count": [2, 2]}]
    path = "/v1/models/pair:predict"
    assert endpoint.http.post(path, json={"instances": rows}).json()["predictions"] == [
        {"sum": [4.0, 6.0], "product": [3.0, 8.0]},
        {"sum": [2.5, 3.0], "product": [1.0, 2.0]},
    ]
    columns = {name: [row[name] for row in rows] for name in ("x", "count")}
    assert endpoint.http.post(path, json={"inputs": columns}).json()["outputs"] == {
        "sum": [[4.0, 6.0], [2.5, 3.0]],
        "product": [[3.0, 8.0], [1.0, 2.0]],
    }


def test_a_model_without_a_batch_dimension_takes_one_row(endpoint):
    path = "/v1/models/square:predict"
    assert endpoint.http.post(path, json={"instances": [[1, 2, 3]]}).json() == {
        "predictions": [[1.0, 4.0, 9.0]]
    }
    assert endpoint.http.post(path, json={"inputs": [1, 2, 3]}).json() == {"outputs": [1, 4, 9]}
    assert endpoint.http.post(path, json={"instances": [[1, 2, 3]] * 2}).status_code == 422


def test_a_model_of_one_sample_answers_several_rows(tmp_path, batch, logits):
    with running(models.save_digits_one(tmp_path / "one.onnx")) as found:
        answer = found.http.post("/v1/models/one:predict", json={"instances": batch.tolist()})
    np.testing.assert_allclose(answer.json()["predictions"], logits, rtol=1e-4, atol=1e-4)


def test_texts_travel_plain_or_as_base64(tmp_path):
    with running(models.save_echo(tmp_path / "echo.onnx")) as found:
        path = "/v1/models/echo:predict"
        body = {"instances": ["plain", {"b64": base64.b64encode("数字".encode()).decode()}]}
        predictions = found.http.post(path, json=body).json()["predictions"]
        assert [base64.b64decode(p["b64"]).decode() for p in predictions] == ["plain", "数字"]
        for wrong, says in (("%", "not base64"), ("/w==", "no UTF-8"), (3, "not base64")):
            refused = found.http.post(path, json={"instances": [{"b64": wrong}]})
            assert refused.status_code == 422
            assert says in refused.json()["error"]
        assert "text would be right" in found.http.post(path, json={"inputs": [1]}).text
        metadata = found.http.get("/v1/models/echo/metadata").text
        assert "DT_STRING" in metadata


def test_pictures_in_base64_are_decoded_by_the_modality(endpoint, batch, logits):
    pictures = [{"b64": base64.b64encode(models.png(p[0])).decode()} for p in batch]
    answer = endpoint.http.post("/v1/models/数字:predict", json={"instances": pictures})
    assert np.argmax(answer.json()["predictions"], 1).tolist() == logits.argmax(1).tolist()
    refused = endpoint.http.post(PREDICT, json={"instances": pictures})
    assert refused.status_code == 422
    assert "takes tensors only" in refused.json()["error"]


def test_status_is_that_of_every_version_or_of_the_one_asked_for(digits_file):
    sources = [
        Source("digits", number, digits_file, None, f"model:digits@{number}", alias)
        for number, alias in (("1", None), ("12", "champion"))
    ]
    with running(*sources) as found:
        status = found.http.get(MODEL).json()["model_version_status"]
        assert [(s["version"], s["state"]) for s in status] == [
            ("1", "AVAILABLE"),
            ("12", "AVAILABLE"),
        ]
        assert status[0]["status"] == {"error_code": "OK", "error_message": ""}
        for path in ("versions/12", "labels/champion"):
            answer = found.http.get(f"{MODEL}/{path}").json()["model_version_status"]
            assert [s["version"] for s in answer] == ["12"]
        for path, right in (
            ("versions/champion", "/labels/champion"),
            ("labels/12", "/versions/12"),
            ("labels/challenger", "champion"),
            ("versions/3", "12"),
        ):
            answer = found.http.get(f"{MODEL}/{path}")
            assert answer.status_code == 404
            assert right in answer.json()["error"]


def test_a_version_that_was_refused_shows_why(digits_file):
    source = Source("digits", "1", digits_file, None, "model:digits@champion", "champion")
    with running(source) as found:
        follower = Follower(source)
        follower.refused = {"version": "2", "message": "its bytes were changed"}
        found.service.repository.followers.append(follower)
        states = found.http.get(MODEL).json()["model_version_status"]
    assert states[1]["state"] == "END"
    assert states[1]["status"]["error_message"] == "its bytes were changed"


def test_metadata_has_the_signature(endpoint):
    answer = endpoint.http.get("/v1/models/pair/metadata").json()
    assert answer["model_spec"] == {"name": "pair", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert {name: info["dtype"] for name, info in signature["inputs"].items()} == {
        "x": "DT_FLOAT",
        "count": "DT_INT64",
    }
    dims = [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]
    assert signature["outputs"]["sum"]["tensor_shape"] == {"dim": dims, "unknown_rank": False}


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "neither"),
        ({"instances": [], "inputs": []}, 400, "both"),
        ({"instance": [1]}, 400, "did you mean 'instances'"),
        ({"instances": {}}, 400, "a list of at least one instance"),
        ({"instances": []}, 400, "an empty list"),
        ({"instances": [1], "signature_name": "other"}, 404, "serving_default"),
        ({"instances": [1]}, 422, "[batch, 1, 8, 8] would be right"),
        ({"instances": [[1], [2, 3]]}, 422, "row 1 has 2 values"),
        ({"instances": [{"inptu": 1}]}, 422, "did you mean 'input'"),
        ({"instances": [{"input": 1}, 2]}, 422, "instances[1]: an object with input"),
        ({"instances": [{"b64": 3}]}, 422, "not base64"),
        ({"inputs": {"inptu": 1}}, 422, "did you mean 'input'"),
        ({"inputs": "a"}, 422, "a number would be right"),
    ],
)
def test_what_does_not_fit_is_told_with_what_would(endpoint, body, status, says):
    answer = endpoint.http.post(PREDICT, json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]


def test_all_problems_of_the_rows_come_at_once(endpoint):
    rows = [{"x": [1, 2]}, {"x": [1, 2], "count": [1, 2], "extra": 1}, 3]
    answer = endpoint.http.post("/v1/models/pair:predict", json={"instances": rows})
    assert len(answer.json()["problems"]) == 3
    refused = endpoint.http.post("/v1/models/pair:predict", json={"inputs": [1]})
    assert "the model has 2 inputs" in refused.json()["error"]


def test_a_verb_is_no_part_of_a_models_name(endpoint):
    answer = endpoint.http.get("/v1/models/digits:predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_unknown_names_and_wrong_methods_are_told(endpoint):
    answer = endpoint.http.post("/v1/models/digit:predict", json={"instances": [1]})
    assert answer.status_code == 404
    assert "did you mean 'digits'" in answer.json()["error"]
    assert endpoint.http.post(MODEL, json={}).status_code == 405
