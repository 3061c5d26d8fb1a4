"""Large V2 bodies in JSON: their lists of floats become arrays, without an object for each number.

Parsing is simdjson (Langdale and Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28,
2019) where its binding is installed; what it does not take as a plain list of numbers, and every
error, is left to the usual parser.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.optional import is_installed, require

LARGE_BYTES = 4096
_FLOATS = "FP"
# simdjson's dom::array::size() is kept in 24 bits and saturates at 0xFFFFFF without a word; its
# binding makes a list of that size and writes past its end.
_MOST_VALUES = 2**24 - 2
_MOST_INPUTS = 100
_MOST_FIELDS = 32  # of an object whose fields are looked up one by one, each from the first on


class LargeJson:
    """Reads large bodies, one at a time."""

    def __init__(self) -> None:
        self._parser: Any = None
        if is_installed("simdjson"):
            self._parser = require("simdjson", for_="large bodies in JSON").Parser()

    def load(self, body: bytes) -> dict[str, Any] | None:
        """Returns the object in `body`; None leaves it to the usual parser.

        Flat lists of numbers, named "data" in one of the "inputs" whose datatype is a float, are
        float64 arrays.
        """
        if self._parser is None or _may_saturate(body):
            return None
        try:
            return self._read(self._parser.parse(body))
        except (ValueError, LookupError, RuntimeError, TypeError, AttributeError):
            return None

    def _read(self, document: Any) -> dict[str, Any]:
        read = _fields(document)
        inputs = read.pop("inputs")
        plain = {key: _plain(value) for key, value in read.items()}
        if not hasattr(inputs, "as_list") or len(inputs) > _MOST_INPUTS:
            raise ValueError("no list of a few tensors")
        return {**plain, "inputs": [_tensor(inputs[place]) for place in range(len(inputs))]}


def _may_saturate(body: bytes) -> bool:
    """Whether one list may be too long to be counted; each value but the last has its comma."""
    return len(body) > _MOST_VALUES and body.count(b",") >= _MOST_VALUES


def _fields(item: Any) -> dict[str, Any]:
    """Returns the fields of an object; of two of one name the usual parser takes the last."""
    if len(item) > _MOST_FIELDS:
        raise ValueError("more fields than any tensor has")
    names = list(item.keys())
    if len(set(names)) < len(names):
        raise ValueError("a field is given twice")
    return {name: item[name] for name in names}


def _tensor(item: Any) -> dict[str, Any]:
    fields = _fields(item)
    is_float = str(fields.get("datatype")).startswith(_FLOATS)
    return {
        name: _numbers(value) if is_float and name == "data" else _plain(value)
        for name, value in fields.items()
    }


def _numbers(data: Any) -> Any:
    """Returns an array if `data` is flat: nested lists would come out flattened, too."""
    try:
        array = np.frombuffer(data.as_buffer(of_type="d"))
    except (TypeError, AttributeError):
        return _plain(data)
    return array if len(array) == len(data) else _plain(data)


def _plain(value: Any) -> Any:
    if hasattr(value, "as_list"):
        return value.as_list()
    return value.as_dict() if hasattr(value, "as_dict") else value
