import pytest

from tests.unit.serving import models
from workbench.core.errors import InputError, IntegrityError, NotFoundError, UnsupportedError
from workbench.serving.sources import find_source


def test_a_bare_file_is_served_under_its_own_or_a_given_name(digits_file):
    source = find_source(str(digits_file), None)
    assert (source.name, source.version, source.description) == ("digits", "1", None)
    assert find_source(str(digits_file), None, "别名").name == "别名"
    with pytest.raises(NotFoundError, match=r"none\.onnx"):
        find_source("none.onnx", None)


def test_a_model_without_an_alias_follows_champion_once_there_is_one(store, digits_file):
    models.register(store, "数字", digits_file)
    assert find_source("model:数字", store).alias is None
    store.models.promote("数字", 1)
    assert find_source("model:数字", store).alias == "champion"
    assert find_source("model:数字@1", store).alias is None
    assert find_source("model:数字@champion", store, "x").name == "x"


def test_an_artifact_is_served_by_its_digest_after_its_bytes_were_checked(store, digits_file):
    meta = {"description": models.description().to_json()}
    artifact = store.artifacts.save("onnx", {"model.onnx": digits_file}, meta)
    for ref in (artifact.digest, f"artifact:{artifact.digest}", artifact.digest[:8]):
        source = find_source(ref, store)
        assert source.description == models.description()
    path = store.artifacts.path(artifact, "model.onnx")
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(IntegrityError):
        find_source(artifact.digest, store)


def test_what_cannot_be_served_is_told(store):
    network = store.artifacts.save("network", {"weights.safetensors": b"x"}, {})
    with pytest.raises(UnsupportedError, match="only ONNX"):
        find_source(network.digest, store)
    with pytest.raises(NotFoundError):
        find_source("model:none@champion", store)
    with pytest.raises(InputError):
        find_source("what is this", store)
    with pytest.raises(InputError, match="workspace"):
        find_source("model:x", None)
