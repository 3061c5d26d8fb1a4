import json

import numpy as np
import pytest
import torch

from workbench.core.config import saved_config
from workbench.core.errors import IntegrityError, NotFoundError, UnsupportedError
from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec
from workbench.families import FAMILIES
from workbench.families.network import Normalized
from workbench.families.network.storage import build_network, network_files, read_network

SHAPE = (1, 8, 8)


def description(key="cnn", **options):
    return Description(
        task="classification",
        output="logits",
        labels=("甲", "乙", "丙"),
        signature=Signature(
            (TensorSpec("input", "float32", ("batch", *SHAPE)),),
            (TensorSpec("output", "float32", ("batch", 3)),),
        ),
        family=saved_config(key, FAMILIES.parse(key, options)),
    )


@pytest.fixture
def files():
    module = Normalized(build_network(description()), 8.0, 4.0)
    return network_files(module, description())


def changed(files, **values):
    text = json.loads(files["network.json"])
    return json.dumps({**text, **values}).encode(), files["weights.safetensors"]


def test_options_survive(files):
    wide = description(width=8, hidden=5)
    module = Normalized(build_network(wide), 8.0, 4.0)
    text, weights = network_files(module, wide).values()
    assert json.loads(text)["description"]["family"]["width"] == 8
    rebuilt = read_network(text, weights)
    assert [tuple(p.shape) for p in rebuilt.parameters()] == [
        tuple(p.shape) for p in module.parameters()
    ]


def test_a_module_without_a_family_is_not_saved_as_a_network():
    own = Normalized(torch.nn.Linear(64, 3), 0.0, 1.0)
    without = Description.from_json({**description().to_json(), "family": None})
    with pytest.raises(UnsupportedError, match="ONNX"):
        network_files(own, without)
    with pytest.raises(UnsupportedError, match="belongs to no family"):
        build_network(without)


def test_what_was_changed_by_hand_is_refused(files):
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_network(files["network.json"], files["weights.safetensors"][:-4])
    narrow = {**description().to_json(), "family": saved_config("cnn", FAMILIES.parse("cnn", {}))}
    narrow["family"]["width"] = 4
    with pytest.raises(IntegrityError, match=r"net\.features\.0\.0\.weight: expected \(4, 1, 3, 3"):
        read_network(*changed(files, description=narrow))
    history = [["net.__class__", True, [0]]]
    with pytest.raises(IntegrityError, match=r"no module 'net.__class__'"):
        read_network(*changed(files, pruning_history=history))


def test_what_a_newer_workbench_wrote_is_refused_with_a_way_out(files):
    with pytest.raises(UnsupportedError, match="pip install -U"):
        read_network(*changed(files, format=99))
    newer = description().to_json()
    newer["family"]["version"] = 99
    with pytest.raises(UnsupportedError, match="version 99"):
        read_network(*changed(files, description=newer))
    newer["family"] = {"kind": "cnnn", "version": 1}
    with pytest.raises(NotFoundError, match="did you mean 'cnn'"):
        read_network(*changed(files, description=newer))


def test_normalisation_is_inside():
    inner = torch.nn.Identity()
    mean, std = np.array([1.0, 2.0]), np.array([2.0, 0.0])
    module = Normalized(inner, mean, std, target_mean=100.0, target_std=10.0)
    answers = module(torch.tensor([[3.0, 5.0]]))
    assert answers.tolist() == [[(3 - 1) / 2 * 10 + 100, (5 - 2) / 1 * 10 + 100]]
    assert {"mean", "std", "target_mean", "target_std"} <= set(module.state_dict())
    assert list(module.parameters()) == []
