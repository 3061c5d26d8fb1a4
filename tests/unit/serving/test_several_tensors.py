"""Models of several tensors, of every dtype and of free sizes, in every dialect."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from tests.unit import mixed
from tests.unit.serving import several
from tests.unit.serving.harness import running
from tests.unit.serving.rpc_client import RPC, Client, tensor
from workbench.core.errors import InputError, UnsupportedError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.batching import Batcher, BatchLimits
from workbench.serving.client import Client as WorkbenchClient
from workbench.serving.decoding import decoder_for
from workbench.serving.engines import ENGINES
from workbench.serving.repository import load_source
from workbench.serving.served import Source
from workbench.serving.tensors import TensorCheck
from workbench.serving.tokens import Grant, KeyLimits, new_token, with_digest


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    files = [
        mixed.save(folder / "mixed.onnx"),
        several.save_echoes(folder / "echoes.onnx"),
        several.save_masked(folder / "masked.onnx"),
    ]
    with running(*files, settings=RPC) as endpoint:
        yield endpoint


@pytest.fixture
def client(served):
    with WorkbenchClient(served.url, served.token, "mixed") as made:
        yield made


INPUTS = mixed.samples(3, length=9)
TRUTH = mixed.answers(INPUTS)
DATATYPES = {"signal": "FP32", "codes": "INT64"}


def v2(inputs, datatypes=DATATYPES):
    return {
        "inputs": [
            {
                "name": name,
                "shape": value.shape,
                "datatype": datatypes[name],
                "data": value.ravel().tolist(),
            }
            for name, value in inputs.items()
        ]
    }


def infer(served, inputs):
    return served.http.post("/v2/models/mixed/infer", json=v2(inputs))


def predict(served, inputs):
    body = {name: value.tolist() for name, value in inputs.items()}
    return served.http.post("/predict/mixed", json={"inputs": body})


def over_rpc(served, inputs):
    made = Client(served)
    try:
        sent = [tensor(name, value, DATATYPES[name]) for name, value in inputs.items()]
        found = made.infer("mixed", sent)
        return {name: found.as_numpy(name) for name in TRUTH}
    finally:
        made.client.close()


def test_every_dialect_gives_both_outputs_in_their_shapes(served, client):
    def close(found):
        for name, value in TRUTH.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)

    outputs = infer(served, INPUTS).json()["outputs"]
    close({item["name"]: np.reshape(item["data"], item["shape"]) for item in outputs})
    close(client.infer(INPUTS))
    close(over_rpc(served, INPUTS))
    columns = {name: value.tolist() for name, value in INPUTS.items()}
    found = served.http.post("/v1/models/mixed:predict", json={"inputs": columns}).json()
    close({name: np.asarray(value) for name, value in found["outputs"].items()})
    rows = served.http.post(
        "/v1/models/mixed:predict",
        json={"instances": [{n: v[i].tolist() for n, v in INPUTS.items()} for i in range(3)]},
    ).json()["predictions"]
    close({name: np.asarray([row[name] for row in rows]) for name in TRUTH})


def test_predict_takes_tensors_by_name_and_reaches_further_outputs(served, client):
    found = client.predict(INPUTS)
    assert len(found) == 3
    for row, prediction in enumerate(found):
        scores = np.array(list(prediction.scores.values()))
        np.testing.assert_allclose(scores, TRUTH["scores"][row], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(prediction.outputs["trend"], TRUTH["trend"][row], rtol=1e-3)
    (one,) = client.predict({name: value[0] for name, value in INPUTS.items()})
    np.testing.assert_allclose(one.outputs["trend"], found[0].outputs["trend"], rtol=1e-5)
    assert set(one.to_json()["outputs"]) == {"trend"}


WRONG = {
    "rows that differ": (
        INPUTS | {"codes": INPUTS["codes"][:2]},
        "since batch = 3 in another input",
    ),
    "a size of zero": (
        INPUTS | {"signal": np.zeros((3, 2, 0), np.float32)},
        "[3, 2, 0]); sizes of at least 1 would be right",
    ),
    "codes beyond the table": (
        INPUTS | {"codes": INPUTS["codes"] + mixed.CODES},
        "codes int64 [3, 4]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_sizes_that_cannot_be_are_told_in_each_dialect(served, case):
    inputs, words = WRONG[case]
    found = infer(served, inputs)
    assert found.status_code == 400
    assert words in str(found.json())
    found = predict(served, inputs)
    assert found.status_code == 422
    assert words in str(found.json())
    made = Client(served)
    sent = [tensor(name, value, DATATYPES[name]) for name, value in inputs.items()]
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        made.infer("mixed", sent)
    made.client.close()
    assert words in str(caught.value)


def test_one_free_size_that_differs_between_tensors_is_told_with_both(served):
    spec = TensorSpec("mask", "float32", ("batch", "time"))
    check = TensorCheck(Signature((several.SPECS[0], spec), ()))
    inputs = {"signal": np.ones((1, 2, 5), np.float32), "mask": np.ones((1, 4), np.float32)}
    with pytest.raises(Exception, match=r"mask: got shape \[1, 4\].*since time = 5 in another"):
        check.rows(inputs)


def test_what_is_too_long_for_a_token_is_told_with_the_count(served):
    text = new_token()
    grant = Grant(name="small", limits=KeyLimits(values=100))
    served.gate.add(with_digest(text, grant))
    long = mixed.samples(1, length=1000)
    headers = {"authorization": f"Bearer {text}"}
    found = served.http.post("/v2/models/mixed/infer", json=v2(long), headers=headers)
    assert found.status_code == 413
    assert "2004 numbers" in found.text


# dtypes ------------------------------------------------------------------------------------

VALUES = several.values()
V2_TYPES = {name: datatype for name, (_, _, datatype) in several.DTYPES.items()}


def same(found):
    for name, value in VALUES.items():
        got = np.asarray(found[f"{name}_out"])
        if name == "text":
            got = np.array([v.decode() if isinstance(v, bytes) else v for v in got.ravel()], object)
        np.testing.assert_array_equal(got.reshape(value.shape), value)
        if name != "text":
            assert got.dtype == value.dtype


def test_every_dtype_survives_json_bytes_and_grpc(served):
    outputs = served.http.post("/v2/models/echoes/infer", json=v2(VALUES, V2_TYPES)).json()
    dtypes = {f"{name}_out": value.dtype for name, value in VALUES.items()}
    same(
        {
            item["name"]: np.asarray(item["data"], dtypes[item["name"]]).reshape(item["shape"])
            for item in outputs["outputs"]
        }
    )
    assert {item["datatype"] for item in outputs["outputs"]} == set(V2_TYPES.values())
    with WorkbenchClient(served.url, served.token, "echoes") as client:
        same(client.infer(VALUES))
    made = Client(served)
    sent = [tensor(name, value, V2_TYPES[name]) for name, value in VALUES.items()]
    found = made.infer("echoes", sent)
    same({f"{name}_out": found.as_numpy(f"{name}_out") for name in VALUES})
    made.client.close()


# padding -----------------------------------------------------------------------------------


def signal(length, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "signal": rng.normal(size=(1, 2, length)).astype(np.float32),
        "lengths": np.array([length]),
    }


class Watched:
    """A loaded model that waits at a gate and remembers the shapes it was given."""

    def __init__(self, model):
        self._model, self.signature = model, model.signature
        self.gate, self.entered = threading.Event(), threading.Event()
        self.shapes = []

    def predict(self, inputs):
        self.entered.set()
        assert self.gate.wait(20)
        self.shapes.append(inputs["signal"].shape)
        return self._model.predict(inputs)

    def close(self):
        self._model.close()


def together(path, requests, description):
    """Returns the jobs of requests that wait while another is in the model, and what it saw."""
    with several.signals():
        loaded = load_source(Source("masked", "1", path, description, str(path)))
    model = Watched(loaded.model)

    async def main():
        limits = BatchLimits(rows=16)
        batcher = Batcher(model, can_batch=True, padding=loaded.padding, limits=limits)
        batcher.start("test")
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(1 + len(requests))]
        batcher.submit(signal(1), 1, futures[0].set_result)
        await asyncio.to_thread(model.entered.wait, 20)
        for inputs, future in zip(requests, futures[1:], strict=True):
            batcher.submit(inputs, 1, future.set_result)
        model.gate.set()
        jobs = await asyncio.gather(*futures)
        await batcher.close()
        return jobs[1:]

    return asyncio.run(main()), model.shapes[1:]


def check_alone(path, requests, jobs):
    model = ENGINES.get("onnx").load(path, ENGINES.get("onnx").Config())
    for inputs, job in zip(requests, jobs, strict=True):
        alone = model.predict(inputs)
        for name, value in alone.items():
            np.testing.assert_allclose(job.outputs[name], value, rtol=1e-5, atol=1e-6)


LENGTHS = (5, 8, 6, 8)


def test_requests_of_different_lengths_share_a_run_and_get_what_each_alone_would(tmp_path):
    path = several.save_masked(tmp_path / "masked.onnx")
    requests = [signal(length, seed) for seed, length in enumerate(LENGTHS)]
    jobs, shapes = together(path, requests, several.description())
    assert shapes == [(4, 2, 8)]
    assert [job.outputs["trace"].shape for job in jobs] == [(1, 2, n) for n in LENGTHS]
    check_alone(path, requests, jobs)


@pytest.mark.parametrize(
    ("is_told", "description"),
    [
        (True, several.description(pads=False)),
        (True, None),
        (False, several.description()),
    ],
    ids=["the modality says no", "nothing is known", "the model does not listen to lengths"],
)
def test_what_must_not_be_padded_runs_apart(tmp_path, is_told, description):
    path = several.save_masked(tmp_path / "masked.onnx", is_told=is_told)
    requests = [signal(length, seed) for seed, length in enumerate((5, 8, 8))]
    jobs, shapes = together(path, requests, description)
    assert shapes == [(1, 2, 5), (2, 2, 8)]
    check_alone(path, requests, jobs)


def test_a_run_is_never_mostly_padding(tmp_path):
    path = several.save_masked(tmp_path / "masked.onnx")
    requests = [signal(length, seed) for seed, length in enumerate((3, 3, 3, 900, 3))]
    jobs, shapes = together(path, requests, several.description())
    assert shapes == [(3, 2, 3), (1, 2, 900), (1, 2, 3)]
    check_alone(path, requests, jobs)


def test_samples_of_several_tensors_are_decoded_by_their_modality(tmp_path):
    path = several.save_masked(tmp_path / "masked.onnx")
    with several.signals():
        source = Source("masked", "1", path, several.description(), str(path))
        with running(source) as endpoint:
            one = signal(6)["signal"][0]
            two = [one.tolist(), one[:, :4].tolist()]
            found = endpoint.http.post("/predict", json={"inputs": two})
            assert found.status_code == 200, found.text
            for answer, length in zip(found.json()["predictions"], (6, 4), strict=True):
                wanted = one[:, :length].mean(axis=1)
                np.testing.assert_allclose(answer["value"], wanted, rtol=1e-4)
            about = endpoint.http.get("/predict").json()
            assert "signal: float32 [2, time], lengths: int64 []" in about["takes"]
            assert about["example"] == [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0]]
            found = endpoint.http.post("/predict", json={"inputs": [[[1.0]]]})
            assert found.status_code == 422


def test_a_modality_whose_tensors_a_model_does_not_take_is_refused():
    with several.signals():
        other = Signature((several.SPECS[0], TensorSpec("lengths", "int32", ("batch",))), ())
        with pytest.raises(UnsupportedError, match=r"int64 \[\] a sample.*int32 \[batch\]"):
            decoder_for(several.description(), other)


def test_a_model_that_takes_no_short_sample_is_served_all_the_same(tmp_path):
    long = several.save_wide_kernel(tmp_path / "wide.onnx", width=40)
    with running(long) as endpoint:
        ones = np.ones((1, 1, 50), np.float32)
        found = endpoint.http.post("/predict", json={"inputs": ones.tolist()})
        assert found.status_code == 200
        short = endpoint.http.post("/predict", json={"inputs": ones[:, :, :9].tolist()})
        assert short.status_code == 422
        assert "float32 [1, 1, 9]" in short.text


@pytest.mark.parametrize(("lengths", "got"), [([5, 500], 500), ([-5, 3], -5), ([0, 1], 0)])
def test_true_sizes_that_cannot_be_are_told(lengths, got):
    spec = TensorSpec("time_lengths", "int64", ("batch",))
    check = TensorCheck(Signature((several.SPECS[0], spec), ()))
    inputs = {"signal": np.ones((2, 2, 5), np.float32), "time_lengths": np.array(lengths)}
    with pytest.raises(InputError, match=f"got {got}; 1 to 5 would be right, since time = 5"):
        check.rows(inputs)
    assert check.rows({**inputs, "time_lengths": np.array([5, 1])}) == 2
