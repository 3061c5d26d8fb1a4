from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data import load


class Pairs:
    """Stands for a torch Dataset: a length and numbered items."""

    classes = ("猫", "狗")

    def __init__(self, count=40, shape=(3, 6, 5), noise=None):
        self._inputs = np.random.default_rng(count).random((count, *shape), np.float32)
        self._noise = noise

    def __len__(self):
        return len(self._inputs)

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError
        noise = 0 if self._noise is None else self._noise.random()
        return self._inputs[index] + noise, index % 2


def test_items_become_a_dataset(store):
    data = load(store, "torch_dataset", dataset=Pairs())
    assert data.labels == ("猫", "狗")
    assert data.sample_shape == (3, 6, 5)
    assert np.array_equal(data.test[0].input, Pairs()[data.test.indices[0]][0])
    assert not list(store.home.scratch.iterdir())


def test_given_sets_are_kept(store):
    data = load(store, "torch_dataset", dataset=Pairs(40), val=Pairs(12), test=Pairs(10))
    assert (len(data.train), len(data.val), len(data.test)) == (40, 12, 10)
    assert data.test.indices.tolist() == list(range(52, 62))


def test_groups_and_time_of_items_decide_the_split(store):
    groups = np.arange(40) // 4
    data = load(store, "torch_dataset", dataset=Pairs(40), groups=groups)
    parts = [set(groups[split.indices]) for split in (data.train, data.val, data.test)]
    assert sum(map(len, parts)) == 10
    late = load(store, "torch_dataset", dataset=Pairs(40), time=list(range(40, 0, -1)))
    assert sorted(late.test.indices) == list(range(6))
    with pytest.raises(InputError, match=r"(?s)groups and time.*give one"):
        load(store, "torch_dataset", dataset=Pairs(40), groups=groups, time=groups)
    with pytest.raises(InputError, match="groups has 3 entries, inputs has 40"):
        load(store, "torch_dataset", dataset=Pairs(40), groups=[1, 2, 3])


def test_a_random_dataset_is_told(store):
    data = load(store, "torch_dataset", dataset=Pairs(noise=np.random.default_rng(0)))
    assert "random_dataset" in {finding.kind for finding in data.findings}


def test_mappings_pictures_and_names(store):
    from PIL import Image

    items = [
        {"image": Image.fromarray(np.full((7, 7, 3), i * 6, np.uint8)), "label": "ab"[i % 2]}
        for i in range(30)
    ]
    data = load(store, "torch_dataset", dataset=items)
    assert data.sample_shape == (3, 7, 7)
    assert data.labels == ("a", "b")
    assert data.train.inputs.dtype == np.uint8


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "empty"),
        ([(np.ones(3), 0), (np.ones(4), 1), (np.ones(3), np.ones(2))],
         r"item 1: shape \(4,\)(.|\n)*item 2: the target"),
        ([(np.ones(3), 0), np.ones(3)], "item 1: a ndarray is no"),
        (iter([]), "no length"),
    ],
)  # fmt: skip
def test_bad_items(store, items, words):
    with pytest.raises(InputError, match=words):
        load(store, "torch_dataset", dataset=items)
    assert not list(store.home.scratch.iterdir())


def test_real_torch_objects_are_recognised(store):
    torch = pytest.importorskip("torch")
    inputs, targets = torch.rand(40, 1, 5, 5), torch.arange(40) % 2
    real = torch.utils.data.TensorDataset(inputs, targets)
    data = load(store, torch.utils.data.DataLoader(real, batch_size=8))
    assert data.sample_shape == (1, 5, 5)
    again = load(store, real)
    assert again.fingerprint == data.fingerprint
