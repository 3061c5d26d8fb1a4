import json
import struct

import numpy as np
import pytest

INFER = "/v2/models/digits/infer"


def tensor(array, name="input", **changes):
    values = {
        "name": name,
        "shape": list(array.shape),
        "datatype": "FP32",
        "data": array.ravel().tolist(),
    }
    return {**values, **changes}


def test_metadata_names_the_tensors_and_the_version(endpoint):
    about = endpoint.http.get("/v2/models/数字").json()
    assert about["versions"] == ["3"]
    assert about["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]
    assert endpoint.http.get("/v2/models/数字/versions/3").json() == about
    assert endpoint.http.get("/v2/models/数字/versions/4").status_code == 404
    assert endpoint.http.get("/v2").json()["extensions"][0] == "binary_tensor_data"
    names = [item["name"] for item in endpoint.http.post("/v2/repository/index").json()]
    assert names == ["数字", "digits", "square", "pair"]


def test_health_needs_no_token_but_tells_names_only_with_one(endpoint):
    import httpx

    for path in ("/v2/health/live", "/v2/health/ready"):
        assert httpx.get(endpoint.url + path, trust_env=False).status_code == 200
    anonymous = httpx.get(endpoint.url + "/v2/health/ready", trust_env=False).json()
    assert anonymous == {"ready": True}
    assert len(endpoint.http.get("/v2/health/ready").json()["models"]) == 4
    assert endpoint.http.get("/v2/models/digits/ready").json()["ready"]


@pytest.mark.parametrize("is_flat", [True, False])
def test_json_tensors_give_the_models_own_numbers(endpoint, batch, logits, is_flat):
    data = batch.ravel().tolist() if is_flat else batch.tolist()
    body = {"id": "a1", "inputs": [tensor(batch, data=data)]}
    answer = endpoint.http.post(INFER, json=body).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("digits", "1", "a1")
    (output,) = answer["outputs"]
    assert output["shape"] == [4, 10]
    np.testing.assert_allclose(output["data"], logits.ravel(), rtol=1e-4, atol=1e-4)


def test_binary_tensors_go_both_ways(endpoint, batch, logits):
    raw = batch.tobytes()
    item = tensor(batch, parameters={"binary_data_size": len(raw)})
    del item["data"]
    head = json.dumps({"inputs": [item], "parameters": {"binary_data_output": True}}).encode()
    answer = endpoint.http.post(
        INFER,
        content=head + raw,
        headers={"inference-header-content-length": str(len(head))},
    )
    end = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.content[:end])["outputs"]
    assert output["parameters"]["binary_data_size"] == len(answer.content) - end == 160
    found = np.frombuffer(answer.content[end:], "<f4").reshape(4, 10)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)


def test_only_the_outputs_asked_for_come_back(endpoint):
    x, count = np.ones((1, 2), np.float32), np.ones((1, 2), np.int64)
    inputs = [tensor(x, "x"), tensor(count, "count", datatype="INT64")]
    path = "/v2/models/pair/infer"
    answer = endpoint.http.post(path, json={"inputs": inputs, "outputs": [{"name": "product"}]})
    assert [item["name"] for item in answer.json()["outputs"]] == ["product"]
    answer = endpoint.http.post(path, json={"inputs": inputs, "outputs": [{"name": "produkt"}]})
    assert answer.status_code == 400
    assert "did you mean 'product'" in answer.text


def one(**changes):
    return {"inputs": [tensor(np.zeros((1, 1, 8, 8), np.float32), **changes)]}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "object"),
        ({}, "list of tensors"),
        ({"inputs": 3}, "list of tensors"),
        ({"inputs": [3]}, "without a name"),
        ({"inputs": []}, "input: missing"),
        (one(name="inptu"), "did you mean 'input'"),
        (one(datatype="FP64"), "'FP32' would be right"),
        (one(datatype=None), "'FP32' would be right"),
        (one(shape=[1, 1, 8, 9]), "72 would be right"),
        (one(shape=[-1, 64]), "list of sizes"),
        (one(shape="x"), "list of sizes"),
        (one(shape=[1, 64]), "[batch, 1, 8, 8] would be right"),
        (one(shape=[0, 1, 8, 8], data=[]), "no values"),
        (one(data=[1, 2]), "got 2 values"),
        (one(data=["a"] * 64), "got 'a' at [0]"),
        (one(data=[None] * 64), "got null at [0]"),
        (one(data=[1e300] * 64), "not finite"),
        (one(data=[[1], [2, 3]]), "row 1 has 2 values, row 0 has 1"),
        (one(data={"a": 1}), "number would be right"),
    ],
)
def test_what_does_not_fit_is_told_with_what_would(endpoint, body, says):
    answer = endpoint.http.post(INFER, json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()
    assert error["code"] in ("bad_input", "bad_request")
    assert says in error["error"], error["error"]


def test_all_problems_of_a_request_come_at_once(endpoint):
    x = np.full((3, 2), 1.0, np.float32)
    body = {
        "inputs": [
            tensor(x, "x", data=[[1, 2], [3]]),
            tensor(np.zeros((2, 2)), "count", datatype="FP32"),
            tensor(x, "extra"),
        ]
    }
    answer = endpoint.http.post("/v2/models/pair/infer", json=body)
    assert len(answer.json()["problems"]) == 3
    sizes = {"inputs": [tensor(x, "x"), tensor(np.zeros((2, 2), int), "count", datatype="INT64")]}
    answer = endpoint.http.post("/v2/models/pair/infer", json=sizes)
    assert "batch = 3" in answer.text


def test_fractions_do_not_silently_become_whole_numbers(endpoint):
    x = np.ones((1, 2), np.float32)
    inputs = [tensor(x, "x"), tensor(x * 1.5, "count", datatype="INT64")]
    answer = endpoint.http.post("/v2/models/pair/infer", json={"inputs": inputs})
    assert "count: got fractions; whole numbers would be right" in answer.text


@pytest.mark.parametrize(
    ("length", "size", "extra", "status"),
    [
        ("99999", 256, b"", 400),
        ("-1", 256, b"", 400),
        (None, 255, b"x", 400),
        (None, 256, b"xx", 400),
        (None, 10**12, b"", 400),
        (None, -1, b"", 400),
        (None, True, b"", 400),
        (None, "256", b"", 400),
    ],
)
def test_broken_binary_requests_are_refused(endpoint, length, size, extra, status):
    item = tensor(np.zeros((1, 1, 8, 8), np.float32), parameters={"binary_data_size": size})
    del item["data"]
    head = json.dumps({"inputs": [item]}).encode()
    answer = endpoint.http.post(
        INFER,
        content=head + bytes(256) + extra,
        headers={"inference-header-content-length": length or str(len(head))},
    )
    assert answer.status_code == status, answer.text


def test_not_a_number_in_a_binary_tensor_is_refused_with_its_place(endpoint):
    raw = struct.pack("<64f", *([0.0] * 63), float("nan"))
    shape = np.zeros((1, 1, 8, 8), np.float32)
    item = tensor(shape, parameters={"binary_data_size": len(raw)})
    del item["data"]
    head = json.dumps({"inputs": [item]}).encode()
    answer = endpoint.http.post(
        INFER, content=head + raw, headers={"inference-header-content-length": str(len(head))}
    )
    assert answer.status_code == 400
    assert "[0, 0, 7, 7]" in answer.text


def test_an_unknown_model_is_404_with_the_nearest_name(endpoint):
    answer = endpoint.http.post("/v2/models/digit/infer", json=one())
    assert answer.status_code == 404
    assert "did you mean 'digits'" in answer.json()["error"]
