"""What is of the wrong type is told in words, by every verb that takes a version or a module."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from torch import nn

import workbench as wb
from tests.unit.flow.test_foreign_files import classifier, data, space  # noqa: F401


@pytest.fixture(scope="module")
def version(space, data, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    onnx.save(classifier(data), path)
    return space.register(space.import_model(path, data), "plain")


@pytest.mark.parametrize("wrong", [True, 1.0, None, [1], np.float32(1)])
def test_what_is_no_version_is_told(space, version, wrong):  # noqa: F811
    with pytest.raises(wb.InputError, match="which is no version of a model"):
        space.promote("plain", wrong)
    with pytest.raises(wb.InputError, match="which is no version of a model"):
        space.verify(wrong)


def test_an_alias_is_no_number(space, version):  # noqa: F811
    with pytest.raises(wb.InputError, match="taken for a version's number"):
        space.promote("plain", version, alias="1")


def test_a_class_is_no_module(space, data):  # noqa: F811
    for verb in (space.train, lambda data, thing: space.import_model(thing, data)):
        with pytest.raises(wb.InputError, match=r"Got the class Linear"):
            verb(data, nn.Linear)
        with pytest.raises(wb.InputError, match=r"Got a int, which is no model"):
            verb(data, 3)


def test_a_path_that_ends_with_a_slash_is_a_folder(space, version, tmp_path):  # noqa: F811
    made = space.export(version, path=f"{tmp_path}/new/")
    assert made.path == tmp_path / "new" / "model.onnx"
    assert made.path.is_file()
