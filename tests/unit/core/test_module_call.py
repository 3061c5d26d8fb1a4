"""Whatever a module's forward looks like, it gets what it names and its outputs have names."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from workbench.core.errors import InputError
from workbench.core.module_call import Taken, call, named_outputs, taken

NAMES = ["x", "codes", "time_lengths"]
BATCH = {"x": 1, "codes": 2, "time_lengths": 3}


class Module:
    def __init__(self, forward):
        self.forward = forward

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)


@pytest.mark.parametrize(
    ("forward", "given"),
    [
        (lambda codes, x: (codes, x), (2, 1)),
        (lambda x, flag=7: (x, flag), (1, 7)),
        (lambda x, time_lengths=None: (x, time_lengths), (1, 3)),
        (lambda a, b, c: (a, b, c), (1, 2, 3)),
        (lambda *tensors: tensors, (1, 2, 3)),
    ],
)
def test_it_gets_what_it_names_or_all_in_order(forward, given):
    assert call(Module(forward), BATCH) == given


def test_a_single_tensor_goes_in_as_it_is():
    assert call(Module(lambda anything: anything), 5) == 5
    assert taken(Module(lambda input: input), ["input"]) == Taken(("input",), by_name=False)


def test_a_module_that_says_what_it_takes_is_believed():
    module = Module(lambda *tensors: tensors)
    module.takes = Taken(("codes",), by_name=False)
    assert call(module, BATCH) == (2,)
    with pytest.raises(InputError, match="the module takes codes, too"):
        call(module, {"x": 1})


@dataclass
class Answer:
    hidden: Any
    logits: Any
    cache: Any = None


class Holder:
    logits = 9


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (5, {"output": 5}),
        ((1, 2, 3), {"output": 1, "output_1": 2, "output_2": 3}),
        ([1, (2, 3)], {"output": 1, "output_1_0": 2, "output_1_1": 3}),
        ({"hidden": 1, "logits": 2}, {"output": 2, "hidden": 1}),
        (OrderedDict(logits=1, output=2), {"output": 2, "logits": 1}),
        ({"a": 1, "b": 2}, {"output": 1, "b": 2}),
        (Answer(1, 2), {"output": 2, "hidden": 1}),
        (namedtuple("Two", "states logits")(1, 2), {"output": 2, "states": 1}),
        (Holder(), {"output": 9}),
    ],
)
def test_the_scored_output_comes_first_and_all_have_names(output, names):
    found = named_outputs(output)
    assert found == names
    assert next(iter(found)) == "output"


@pytest.mark.parametrize("nothing", [None, (), {}, [None]])
def test_a_module_that_gives_nothing_is_told(nothing):
    with pytest.raises(InputError, match="holds no tensor"):
        named_outputs(nothing)
