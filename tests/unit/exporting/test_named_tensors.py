"""Modules of several tensors and free dimensions: the file answers alike on every size, or is
refused."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tests.unit.exporting.nets import as_trained
from workbench.core.batch import named
from workbench.core.module_call import Taken
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.exporting import export_samples
from workbench.exporting.padding import padding_notes
from workbench.exporting.parity import ParityError
from workbench.exporting.sizes import check_sizes
from workbench.exporting.state import answerer, predictor
from workbench.families.network import Named
from workbench.runtime.session import open_session

X = TensorSpec("x", "float32", ("batch", "time", 2))
CODES = TensorSpec("codes", "int64", ("batch", 4))
MASK = TensorSpec("mask", "bool", ("batch", "time"))
EXACT = TensorSpec("exact", "float64", ("batch", "width"))
OUTPUT = TensorSpec("output", "float32", ("batch", 3))


def described(inputs, outputs=(OUTPUT,)):
    return Description("classification", "logits", ("a", "b", "c"), Signature(inputs, outputs))


def batch(rows=6, time=5, width=4, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(rows, time, 2)).astype(np.float32),
        "codes": rng.integers(0, 10, (rows, 4)),
        "mask": rng.random((rows, time)) > 0.3,
        "exact": rng.random((rows, width)),
    }


class Several(nn.Module):
    """Takes four tensors of four types by name, gives three."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(10, 8)
        self.places = nn.Linear(2, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 3)

    def forward(self, mask, codes, exact, x):
        places = self.places(x) * mask[..., None]
        hidden = (
            self.norm(places.sum(1) + self.embed(codes).sum(1)) * exact.mean(1).float()[:, None]
        )
        return {"places": places, "logits": self.head(hidden), "counts": mask.sum(1)}


SEVERAL = described(
    (X, CODES, MASK, EXACT),
    (
        OUTPUT,
        TensorSpec("places", "float32", ("batch", "time", 8)),
        TensorSpec("counts", "int64", ("batch",)),
    ),
)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    module = as_trained(Several())
    return module, export_samples(module, SEVERAL, batch(), tmp_path_factory.mktemp("several"))


def test_every_input_and_output_has_its_name_type_and_free_dimensions(several):
    signature = open_session(several[1].path).signature
    assert signature.inputs == SEVERAL.signature.inputs
    assert signature.outputs == SEVERAL.signature.outputs
    assert several[1].exporter == "dynamo"


@pytest.mark.parametrize(("rows", "time", "width"), [(1, 1, 1), (2, 9, 4), (7, 3, 11), (9, 40, 2)])
def test_it_answers_as_torch_does_on_other_sizes(several, rows, time, width):
    module, exported = several
    session = onnxruntime.InferenceSession(str(exported.path))
    inputs = batch(rows, time, width, seed=1)
    expected = answerer(module)(inputs)
    got = session.run(None, named(inputs, [spec.name for spec in SEVERAL.signature.inputs]))
    assert list(expected) == ["output", "places", "counts"]
    for wanted, found in zip(expected.values(), got, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert np.array_equal(predictor(module)(inputs), expected["output"])
    np.testing.assert_allclose(open_session(exported.path).run(inputs), got[0])


def test_its_weights_can_be_patched(several):
    assert several[1].fold_map.is_proven, several[1].fold_map.reason
    assert several[1].fold_map.initializer_of("embed.weight") == "embed.weight"


class Only(nn.Module):
    """Takes two of the four."""

    def __init__(self):
        super().__init__()
        self.net = Several()

    def forward(self, x, mask):
        return self.net.head((self.net.places(x) * mask[..., None]).sum(1))


class Unrolled(nn.Module):
    """Loops over time in Python, so that a traced graph has as many steps as its sample."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(4, 2)
        self.head = nn.Linear(2, 3)

    def forward(self, x, mask):
        state = torch.zeros(x.shape[0], 2)
        for moment in range(x.shape[1]):
            step = torch.tanh(self.cell(torch.cat([x[:, moment], state], 1)))
            state = step * mask[:, moment, None]
        return self.head(state)


class Branching(Only):
    """Goes one of two ways by its data, which the newer exporter refuses."""

    def forward(self, x, mask):
        answer = super().forward(x, mask)
        return answer if x.sum() > -1e9 else answer + 1


def test_a_frozen_dimension_is_refused_by_name(tmp_path):
    with pytest.raises(ParityError, match=r"has the dimension 'time' frozen at 5: at 6"):
        export_samples(Unrolled().eval(), described((X, MASK)), batch(), tmp_path)


def test_the_older_exporter_frees_every_dimension_too(tmp_path):
    module = Branching().eval()
    exported = export_samples(module, described((X, MASK)), batch(), tmp_path)
    assert exported.exporter == "torchscript"
    assert open_session(exported.path).signature.inputs == (X, MASK), "it names no others"
    other = batch(3, 17)
    np.testing.assert_allclose(
        open_session(exported.path).run(other), predictor(module)(other), rtol=1e-4, atol=1e-5
    )


class OneLength(Only):
    """Fails on other lengths itself."""

    def forward(self, x, mask):
        if x.shape[1] > 8:
            raise ValueError("at most 8 moments")
        return super().forward(x, mask)


def test_what_the_module_itself_refuses_is_noted_not_proven():
    answer = answerer(OneLength().eval())
    (note,) = check_sizes(answer, answer, batch(), (X, MASK))
    assert note.startswith("'time' = 13 is not proven: the model itself fails (at most 8 moments)")


@pytest.mark.full
def test_a_single_tensor_of_codes_stays_one(tmp_path):
    net = nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(12, 3))
    module = Named(net, Taken(("codes",), by_name=False)).eval()
    codes = batch()["codes"]
    exported = export_samples(module, described((CODES,)), codes, tmp_path)
    assert exported.exporter == "dynamo"
    session = open_session(exported.path)
    assert session.signature.inputs == (CODES,)
    np.testing.assert_allclose(session.run(codes), predictor(module)(codes), rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_the_same_module_gives_the_same_file(tmp_path):
    paths = [
        export_samples(Several().eval(), SEVERAL, batch(), tmp_path, name=name).path
        for name in ("a", "b")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


class Series:
    """Samples of 3 to 8 moments, padded when they come together."""

    is_padded = True

    def __len__(self):
        return 20

    def batch(self, indices):
        lengths = np.array([3 + i % 6 for i in indices])
        every = batch(20, 8)
        x, mask = every["x"][indices], np.arange(8) < lengths[:, None]
        longest = lengths.max()
        padded = (x * mask[..., None]).astype(np.float32)
        return {"x": padded[:, :longest], "mask": mask[:, :longest]}, np.zeros(len(indices))


class Blind(Only):
    """Does not look at what is padded, but the bias of each moment adds up."""

    def forward(self, x):
        return self.net.head(self.net.places(x).sum(1))


def test_it_is_noted_where_padding_shows_in_the_answers():
    assert padding_notes(answerer(Only().eval()), Series()) == ()
    (note,) = padding_notes(answerer(Blind().eval()), Series())
    assert note.startswith("a sample padded beside longer ones is answered otherwise (error ")
    assert "in 'output'" in note
