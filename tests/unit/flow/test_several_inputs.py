"""Networks of several tensors go the whole road: import, study, registry, endpoint."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import workbench as wb
from tests.unit import mixed
from tests.unit.serving.harness import running
from tests.unit.serving.rpc_client import RPC, Client, tensor
from workbench.core.errors import UnsupportedError
from workbench.exporting.quiet import quiet
from workbench.flow.workspace import Workspace
from workbench.runtime.session import open_session
from workbench.serving.client import Client as WorkbenchClient
from workbench.serving.repository import load_source
from workbench.serving.sources import find_source

DATATYPES = {"signal": "FP32", "codes": "INT64", "time_lengths": "INT64"}


@pytest.fixture
def space(tmp_path):
    return Workspace(tmp_path / ".workbench", inline=True)


def drawn(count, lengths, seed):
    """Returns signals, of these lengths in turn, with codes."""
    rng = np.random.default_rng(seed)
    signals = [
        rng.normal(size=(2, lengths[i % len(lengths)])).astype(np.float32) for i in range(count)
    ]
    return {"signal": signals, "codes": rng.integers(0, mixed.CODES, (count, 4))}


def load(space, path, lengths=(12,), count=400):
    """Loads samples whose targets are what the network itself answers, each alone."""
    given = drawn(count, lengths, 5)
    session = open_session(path)
    known = [spec.name for spec in session.signature.inputs]
    targets = []
    for signal, codes in zip(given["signal"], given["codes"], strict=True):
        one = {"signal": signal[None], "codes": codes[None]}
        one["time_lengths"] = np.array([signal.shape[1]])
        targets.append(int(session.run({name: one[name] for name in known}).argmax()))
    inputs = given if len(lengths) > 1 else given | {"signal": np.stack(given["signal"])}
    axes = {"signal": (None, "time")} if len(lengths) > 1 else None
    options = {} if axes is None else {"axes": axes}
    return space.load(
        "arrays",
        inputs=inputs,
        targets=np.array(targets),
        labels=mixed.LABELS,
        task="classification",
        **options,
    )


def check_served(space, ref, truth, inputs, *, names):
    """Asks an endpoint for the same samples in every way and compares with `truth`."""
    with running(find_source(ref, space.store), settings=RPC) as endpoint:
        name = endpoint.http.get("/predict").json()["model"]

        def close(found):
            for output in names:
                np.testing.assert_allclose(found[output], truth[output], rtol=1e-3, atol=1e-4)

        body = [
            {
                "name": key,
                "shape": value.shape,
                "datatype": DATATYPES[key],
                "data": value.ravel().tolist(),
            }
            for key, value in inputs.items()
        ]
        found = endpoint.http.post(f"/v2/models/{name}/infer", json={"inputs": body}).json()
        close({o["name"]: np.reshape(o["data"], o["shape"]) for o in found["outputs"]})
        with WorkbenchClient(endpoint.url, endpoint.token, name) as client:
            close(client.infer(inputs))
        rpc = Client(endpoint)
        answer = rpc.infer(name, [tensor(k, v, DATATYPES[k]) for k, v in inputs.items()])
        close({output: answer.as_numpy(output) for output in names})
        rpc.client.close()
        with WorkbenchClient(endpoint.url, endpoint.token, name) as client:
            given = {key: inputs[key] for key in inputs if key != "time_lengths"}
            return client.predict(given)


def test_a_network_with_data_goes_the_whole_road(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx", is_told=True)
    data = load(space, path, lengths=(9, 12, 7))
    assert "time" in str(data.signature)
    run = space.import_model(path, data)
    assert run.metrics["val_accuracy"] == 1.0
    study = space.study(run, data)
    assert study.baseline.accuracy == 1.0
    pruned, dynamic = study.measure("prune:0.3"), study.measure("quantize_dynamic")
    assert 0.5 < pruned.accuracy <= 1.0
    assert pruned.stored_bytes < study.baseline.stored_bytes
    assert dynamic.accuracy > 0.9
    assert dynamic.size_bytes < study.baseline.size_bytes
    folder = study.export_bench(tmp_path / "other machine")
    script = [sys.executable, "measure_here.py", "--name", "board", "--seconds", "0.02"]
    subprocess.run(script, cwd=folder, check=True, capture_output=True, timeout=120)
    target = study.import_bench(folder / "result.json")
    assert target.of(study.baseline).max_error == 0.0
    version = space.register(dynamic, "mixed")
    assert space.verify("model:mixed")
    assert space.evaluate(version, data)["accuracy"] == dynamic.accuracy
    plain = space.register(pruned, "pruned")
    assert load_source(find_source(plain.ref, space.store)).padding.dims == {"time"}
    assert load_source(find_source(version.ref, space.store)).padding is None, "one scale for all"
    samples = drawn(2, (10,), 9)
    inputs = {
        "signal": np.stack(samples["signal"]),
        "codes": samples["codes"],
        "time_lengths": np.array([10, 10]),
    }
    truth = open_session(dynamic.path).run_named(inputs)
    found = check_served(space, version.ref, truth, inputs, names=("scores", "trend"))
    assert [p.label for p in found] == [mixed.LABELS[i] for i in truth["scores"].argmax(1)]
    for row, prediction in enumerate(found):
        np.testing.assert_allclose(prediction.outputs["trend"], truth["trend"][row], rtol=1e-3)


@pytest.mark.full
def test_a_search_over_it_ends_with_its_best(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx", is_recurrent=True)
    data = load(space, path)
    study = space.study(space.import_model(path, data), data)
    best = study.search(max_drop=0.05, budget="6 s")
    assert best.found.is_within
    assert best.size_bytes < study.baseline.size_bytes
    assert best.confirmed is not None


def test_a_file_without_data_is_served_with_all_its_tensors(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx")
    run = space.import_model(path)
    version = space.register(run, "bare")
    assert space.verify("model:bare")
    inputs = mixed.samples(3, length=7)
    truth = mixed.answers(inputs)
    found = check_served(space, version.ref, truth, inputs, names=("scores", "trend"))
    assert [list(p.scores) for p in found] == [["0", "1", "2"]] * 3
    assert found[0].outputs["trend"].shape == (1, 7)


def test_nothing_is_claimed_of_a_file_without_data(space, tmp_path):
    version = space.register(space.import_model(mixed.save(tmp_path / "mixed.onnx")), "bare")
    assert version.manifest["description"]["task"] == ""
    with running(find_source(version.ref, space.store)) as endpoint:
        about = endpoint.http.get("/predict").json()
        assert about["task"] is None
        assert about["labels"] == []
        one = {name: value[0].tolist() for name, value in mixed.samples(1).items()}
        scores = endpoint.http.post("/predictions/bare", json={"data": one}).json()
        assert len(scores) == 3
        assert endpoint.http.get("/openapi.json").is_success
    data = load(space, mixed.save(tmp_path / "other.onnx"))
    for verb in (space.evaluate, space.study):
        with pytest.raises(wb.InputError, match="import it with the data"):
            verb(version, data)


def test_tensors_that_do_not_fit_are_told_all_at_once(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx")
    given = drawn(60, (12,), 5)
    data = space.load(
        "arrays",
        inputs={"signal": np.stack(given["signal"])[:, :1], "codes": given["codes"].astype("i4")},
        targets=np.arange(60) % 3,
        labels=mixed.LABELS,
    )
    with pytest.raises(wb.InputError) as caught:
        space.import_model(path, data)
    assert "'signal': the model takes samples of shape (2, 'time'), not (1, 12)" in str(
        caught.value
    )
    assert "'codes': the model takes int64, the data gives int32" in str(caught.value)


def test_codes_that_the_model_does_not_know_are_told(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx")
    given = drawn(60, (12,), 5)
    data = space.load(
        "arrays",
        inputs={"signal": np.stack(given["signal"]), "codes": given["codes"] + mixed.CODES},
        targets=np.arange(60) % 3,
        labels=mixed.LABELS,
    )
    with pytest.raises(wb.InputError, match=r"fails on samples of .* Gather"):
        space.import_model(path, data)


def test_a_network_that_is_not_told_true_sizes_is_refused_data_of_several(space, tmp_path):
    path = mixed.save(tmp_path / "mixed.onnx")
    data = load(space, path, lengths=(5, 40), count=60)
    with pytest.raises(wb.InputError, match="padded beside longer ones"):
        space.import_model(path, data)


class Mixed(nn.Module):
    """A module as a person writes it: series of any length beside codes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 8, 3, padding=1)
        self.table = nn.Embedding(mixed.CODES, 6)
        self.rows = nn.GRU(8, 10, batch_first=True)
        self.head = nn.Linear(16, mixed.CLASSES)
        self.trace = nn.Linear(10, 1)

    def forward(self, signal, codes):
        seen = torch.relu(self.conv(signal)).transpose(1, 2)
        states, _ = self.rows(seen)
        both = torch.cat([states.mean(1), self.table(codes).mean(1)], 1)
        return self.head(both), self.trace(states)[..., 0]


@pytest.mark.full
@pytest.mark.parametrize("is_external", [False, True], ids=["one file", "two files"])
def test_a_file_that_pytorch_wrote_answers_as_the_module(space, tmp_path, is_external):
    torch.manual_seed(0)
    module = Mixed().eval()
    inputs = mixed.samples(4, length=12)
    tensors = tuple(torch.from_numpy(value) for value in inputs.values())
    path = tmp_path / "written.onnx"
    with quiet():
        torch.onnx.export(
            module,
            tensors,
            str(path),
            dynamo=False,
            input_names=["signal", "codes"],
            output_names=["scores", "trend"],
            dynamic_axes={
                "signal": {0: "batch", 2: "time"},
                "codes": {0: "batch"},
                "scores": {0: "batch"},
                "trend": {0: "batch", 1: "time"},
            },
        )
    if is_external:
        onnx.save(
            onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=0
        )
        assert (tmp_path / "w.data").exists()
    data = load(space, path, count=200)
    study = space.study(space.import_model(path, data), data)
    assert study.baseline.accuracy == 1.0
    assert study.measure("quantize_dynamic").accuracy > 0.9
    assert 0.4 < study.measure("prune:0.3").accuracy <= 1.0
    version = space.register(study.baseline, "written")
    with torch.no_grad():
        truth = dict(zip(("scores", "trend"), (o.numpy() for o in module(*tensors)), strict=True))
    check_served(space, version.ref, truth, inputs, names=("scores", "trend"))
    endpoint = space.serve(version.ref)
    try:
        found = endpoint.predict(inputs)
    finally:
        endpoint.stop()
    assert [p.label for p in found] == [mixed.LABELS[i] for i in truth["scores"].argmax(1)]
    np.testing.assert_allclose(found[0].outputs["trend"], truth["trend"][0], rtol=1e-3, atol=1e-4)


class Told(Mixed):
    """The same without a recurrent part, told how long each series is."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Linear(8, 10)

    def forward(self, signal, codes, time_lengths):
        seen = torch.relu(self.conv(signal)).transpose(1, 2)
        mask = torch.arange(signal.shape[2])[None] < time_lengths[:, None]
        states = self.rows(seen) * mask[..., None]
        mean = states.sum(1) / time_lengths[:, None]
        return {
            "logits": self.head(torch.cat([mean, self.table(codes).mean(1)], 1)),
            "trend": self.trace(states)[..., 0],
        }


@pytest.mark.full
def test_a_module_of_several_inputs_is_imported_and_studied(space, tmp_path):
    torch.manual_seed(0)
    module = Told().eval()
    given = drawn(200, (9, 12, 7), 5)
    with torch.no_grad():
        rows = [
            module(
                torch.from_numpy(signal)[None],
                torch.from_numpy(codes)[None],
                torch.tensor([signal.shape[1]]),
            )["logits"]
            for signal, codes in zip(given["signal"], given["codes"], strict=True)
        ]
    data = space.load(
        "arrays",
        inputs=given,
        targets=torch.cat(rows).argmax(1).numpy(),
        labels=mixed.LABELS,
        task="classification",
        axes={"signal": (None, "time")},
    )
    run = space.import_model(module, data)
    assert run.metrics["val_accuracy"] == 1.0
    study = space.study(run, data)
    pruned, dynamic = study.measure("prune:0.3"), study.measure("quantize_dynamic")
    assert pruned.accuracy > 0.5
    assert dynamic.accuracy > 0.9
    with pytest.raises(UnsupportedError, match="one tensor of floats"):
        study.measure("prune_structured:0.5")
    best = study.search(max_drop=0.1, budget="4 s")
    assert best.size_bytes < study.baseline.size_bytes
    version = space.register(study.baseline, "told")
    inputs = mixed.samples(3, length=8) | {"time_lengths": np.array([8, 5, 3])}
    with torch.no_grad():
        found = module(*(torch.from_numpy(inputs[name]) for name in DATATYPES))
    truth = {"output": found["logits"].numpy(), "trend": found["trend"].numpy()}
    check_served(space, version.ref, truth, inputs, names=("output", "trend"))


class Deaf(nn.Module):
    """Is told the true sizes, and takes the mean over what is padded all the same."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)

    def forward(self, signal, time_lengths):
        return self.fc(signal.mean(2)) + 0 * time_lengths[:, None]


class Largest(Deaf):
    """Takes the largest value, among which zeros of the padding are where all others are below."""

    def forward(self, signal, time_lengths):
        return self.fc(signal.amax(2)) + 0 * time_lengths[:, None]


@pytest.mark.parametrize("made", [Deaf, Largest])
def test_a_network_deaf_to_true_sizes_is_refused_although_no_sample_shows_it(space, made):
    signals = [np.ones((2, 12), np.float32) * (i % 3) for i in range(90)]
    data = space.load(
        "arrays",
        inputs={"signal": signals},
        targets=np.arange(90) % 3,
        labels=mixed.LABELS,
        axes={"signal": (None, "time")},
    )
    with pytest.raises(wb.InputError, match="answers a sample otherwise when it is padded"):
        space.import_model(made(), data)
