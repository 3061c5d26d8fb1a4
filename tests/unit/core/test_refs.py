import pytest

from workbench.core.errors import InputError
from workbench.core.refs import Ref, check_name, is_ref, parse_ref


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("dataset:digits@4fa1c2", Ref("dataset", "digits", "4fa1c2")),
        ("run:0abc", Ref("run", "0abc")),
        ("run:0abc/model", Ref("run", "0abc", None, "model")),
        ("model:数字-cnn@champion", Ref("model", "数字-cnn", "champion")),
        ("model:digits-cnn@3", Ref("model", "digits-cnn", "3")),
    ],
)
def test_refs_round_trip(text, ref):
    assert parse_ref(text) == ref
    assert str(ref) == text


@pytest.mark.parametrize("text", ["digits", "modle:x", "model:", "model:x@", "C:/x.onnx"])
def test_what_is_not_a_ref_is_refused(text):
    with pytest.raises(InputError):
        parse_ref(text)


def test_files_and_urls_are_not_refs():
    assert not is_ref("C:/models/x.onnx")
    assert not is_ref("digits")
    assert is_ref("model:x")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".x", "_x", "x" * 101, "a@b", "a:b"])
def test_names_that_could_leave_a_folder_are_refused(name):
    with pytest.raises(InputError):
        check_name(name, what="a model")
