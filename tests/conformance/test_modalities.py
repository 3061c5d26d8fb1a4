"""Each modality decodes without torch, tells what is wrong, and keeps its config as JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from workbench.core.batch import each, named
from workbench.core.errors import InputError
from workbench.core.signature import is_plain, misfits
from workbench.data.modalities import MODALITIES
from workbench.data.modality import Modality

EXAMPLES = {key: MODALITIES.get(key).examples(np.random.default_rng(0)) for key in MODALITIES}
TRAIN = {key: example.train for key, example in EXAMPLES.items()}
BAD = {key: example.bad for key, example in EXAMPLES.items()}
JSON = {key: example.json for key, example in EXAMPLES.items()}


@pytest.fixture(params=MODALITIES.keys())
def key(request):
    return request.param


@pytest.fixture
def modality(key) -> Modality:
    return MODALITIES.get(key)


@pytest.fixture
def config(key, modality):
    fitted, _ = modality.fit(TRAIN[key], None, {})
    return MODALITIES.parse(key, json.loads(json.dumps(fitted.to_json())))


def test_the_config_survives_json(key, modality, config):
    assert modality.summary
    assert config == modality.fit(TRAIN[key], None, {})[0]
    assert all(field.description for field in modality.Config.model_fields.values())


def tensors(modality, config, sample):
    """The tensors of a decoded sample, by name."""
    return named(sample, [spec.name for spec in modality.decoded(config)])


def same(modality, config, one, other):
    pairs = zip(
        tensors(modality, config, one).values(),
        tensors(modality, config, other).values(),
        strict=True,
    )
    return all(np.array_equal(a, b) for a, b in pairs)


def test_one_and_many_decode_alike(key, modality, config):
    samples = [TRAIN[key][i] for i in range(4)]
    specs = modality.signature(config)
    many = named(modality.decode_batch(samples, config), [spec.name for spec in specs])
    assert misfits(many, specs) == []
    for index, sample in enumerate(samples):
        decoded = tensors(modality, config, modality.decode(sample, config))
        for name, tensor in decoded.items():
            row = many[name][index]
            assert np.array_equal(tensor, row[tuple(map(slice, tensor.shape))])
        assert len(modality.split_batch(sample, config)) == 1
    assert len(modality.split_batch(samples, config)) == 4
    none = named(modality.decode_batch([], config), [spec.name for spec in specs])
    assert misfits(none, specs) == []
    assert {len(tensor) for tensor in none.values()} == {0}


def test_the_signature_is_what_is_decoded_and_what_collate_adds(key, modality, config):
    specs = modality.signature(config)
    decoded = modality.decoded(config)
    assert specs[: len(decoded)] == decoded
    assert all(spec.shape[0] == "batch" for spec in specs)
    if is_plain(specs):
        assert specs[0].sample_shape == modality.sample_shape(config)
    padding = modality.padding(config)
    if padding is not None:
        assert set(padding) == {spec.name for spec in specs if spec.free}
        assert len(specs) > len(decoded), "who pads tells the model of it"


def test_stored_samples_decode_to_themselves(key, modality, config):
    if modality.keeps_raw(config):
        kept = modality.unpack(modality.pack(TRAIN[key][0], config), config)
        decoded = modality.decode(TRAIN[key][0], config)
        assert same(modality, config, modality.decode(kept, config), decoded)
        return
    prepared = modality.decode(TRAIN[key][0], config)
    if is_plain(modality.decoded(config)):
        prepared = prepared.astype(modality.storage_dtype(config))
    again = modality.decode(modality.raw(prepared, config), config)
    assert same(modality, config, again, prepared)


def test_what_it_says_of_files_and_of_playing_is_whole(key, modality, config):
    kind = modality.files
    assert modality.takes_files == (kind is not None)
    if kind is not None:
        assert kind.usual in kind.suffixes
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in kind.suffixes)
        assert set(kind.to_json()) == {"noun", "accept", "example"}
        with pytest.raises(InputError):
            modality.measure(b"no such file", {}, is_read=True)
    options = modality.Options.model_fields.values()
    assert all(field.description and not field.is_required() for field in options)
    if modality.plays:
        assert len(modality.media(TRAIN[key][0], config)) > 0


def test_json_is_taken(key, modality, config):
    for value in (JSON[key], modality.example(config)):
        (sample,) = modality.split_batch(modality.from_json(value, config), config)
        decoded = tensors(modality, config, modality.decode(sample, config))
        one = {name: tensor[np.newaxis] for name, tensor in decoded.items()}
        assert misfits(one, modality.decoded(config)) == []


def test_bad_values_are_input_errors_told_all_at_once(key, modality, config):
    for value in BAD[key]:
        with pytest.raises(InputError):
            modality.decode(value, config)
    with pytest.raises(InputError) as caught:
        modality.decode_batch([TRAIN[key][0], *BAD[key]], config)
    assert len(caught.value.problems) >= len(BAD[key])


def test_copies_have_equal_keys(key, modality, config):
    prepared = [modality.decode(TRAIN[key][i], config) for i in (0, 1, 0)]
    if is_plain(modality.decoded(config)):
        prepared = np.stack(prepared)
    sketch = modality.sketch(prepared, config)
    assert sketch.exact.dtype == sketch.near.dtype == np.uint64
    assert sketch.exact[0] == sketch.exact[2] != sketch.exact[1]


_BLOCKED = """
import json, sys

class Block:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Block())
from workbench.core.batch import each
from workbench.data.modalities import MODALITIES
modality = MODALITIES.get({key!r})
config = MODALITIES.parse({key!r}, json.loads({config!r}))
(sample,) = modality.split_batch(modality.from_json(json.loads({value!r}), config), config)
print(json.dumps(each(lambda tensor: tensor.tolist(), modality.decode(sample, config))))
"""


def test_it_decodes_where_torch_and_pandas_cannot_be_imported(key, modality, config):
    code = _BLOCKED.format(
        blocked={"torch", "pandas", "sklearn", "pyarrow", "PIL", "IPython"},
        key=key,
        config=json.dumps(config.to_json()),
        value=json.dumps(JSON[key]),
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sample,) = modality.split_batch(modality.from_json(JSON[key], config), config)
    assert json.loads(done.stdout) == each(lambda t: t.tolist(), modality.decode(sample, config))


def test_pictures_on_disk_decode_too(tmp_path):
    image = MODALITIES.get("image")
    config, _ = image.fit(TRAIN["image"], None, {})
    Image.fromarray(TRAIN["image"][3]).save(tmp_path / "图.png")
    assert np.array_equal(
        image.decode(tmp_path / "图.png", config), image.decode(TRAIN["image"][3], config)
    )
