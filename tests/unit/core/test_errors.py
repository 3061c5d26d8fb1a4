import json

import pytest

from workbench.core.errors import (
    InputError,
    NotFoundError,
    WorkbenchError,
    error_from_dict,
    error_types,
    unknown_name,
)


def test_an_error_crosses_processes_unchanged():
    error = InputError("Got 3.", hint="Give 4.", context={"row": 7}, problems=["row 7: bad"])
    again = error_from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(again) is InputError
    assert again.to_dict() == error.to_dict()
    assert str(again) == "Got 3.\n  - row 7: bad\nGive 4."


def test_an_unknown_code_is_still_an_error():
    assert type(error_from_dict({"code": "from_the_future", "message": "x"})) is WorkbenchError


def test_no_error_is_a_key_error():
    assert all(not issubclass(cls, KeyError) for cls in error_types().values())


@pytest.mark.parametrize(("got", "nearest"), [("quantise", "quantize"), ("prun", "prune")])
def test_unknown_names_get_the_nearest(got, nearest):
    error = unknown_name("method", got, ["prune", "quantize"])
    assert isinstance(error, NotFoundError)
    assert f"'{nearest}'" in error.message
