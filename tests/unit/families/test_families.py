import subprocess
import sys

import pytest
import torch
from torch import nn

from workbench.families import FAMILIES


def build(key, shape, outputs=10, **options):
    return FAMILIES.get(key).build(FAMILIES.parse(key, options), shape, outputs)


def test_listing_families_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from workbench.families import FAMILIES\n"
        "assert all(FAMILIES.get(key).Config() for key in FAMILIES)\n"
        "assert 'network' not in FAMILIES"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_a_resnet_has_as_many_layers_as_it_says(depth):
    net = build("resnet", (3, 32, 32), depth=depth)
    layers = [
        m for m in net.modules() if isinstance(m, nn.Linear)
        or (isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3))
    ]  # fmt: skip
    assert len(layers) == depth


def test_resnet_20_is_the_published_size():
    # He et al. 2016, table 6: 0.27 M parameters
    count = sum(p.numel() for p in build("resnet", (3, 32, 32), depth=20).parameters())
    assert 0.265e6 < count < 0.28e6


@pytest.mark.parametrize("key", ["cnn", "resnet"])
@pytest.mark.parametrize("shape", [(3, 64, 80), (1, 130, 128), (4, 4, 9)])
def test_large_and_oblong_images_stay_affordable(key, shape):
    net = build(key, shape).eval()
    assert net(torch.zeros(2, *shape)).shape == (2, 10)
    assert sum(p.numel() for p in net.parameters()) < 1_500_000


def test_mlp_has_the_layers_asked_for():
    net = build("mlp", (6,), 2, hidden=[5, 4, 3], dropout=0.5, activation="gelu")
    sizes = [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]
    assert sizes == [(6, 5), (5, 4), (4, 3), (3, 2)]
    assert sum(isinstance(m, nn.Dropout) for m in net) == 3


def test_a_family_says_what_it_cannot_take_and_what_can():
    for key in ("cnn", "resnet"):
        assert "'mlp'" in FAMILIES.get(key).supports((6,), "classification")
        assert "4×4" in FAMILIES.get(key).supports((1, 2, 9), "regression")
    assert "no values" in FAMILIES.get("linear").supports((0,), "regression")
