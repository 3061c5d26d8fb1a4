"""Finds the line of the user's own code in an exporter's error."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import WorkbenchError

if TYPE_CHECKING:
    from torch import nn

_IN_TEXT = re.compile(r'File "([^"]+)", line (\d+)(?:, in (\w+))?')
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_OURS = str(Path(__file__).resolve().parent.parent)
_INSTALLED = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


class ExportError(WorkbenchError):
    """A model cannot be exported; the message names the line of the user's code."""

    code = "export_failed"
    http_status = 422


def first_line(error: BaseException) -> str:
    """Returns the first line that says something of the error at the root of `error`."""
    *_, root = _chain(error)
    for line in str(root).splitlines():
        if line.strip():
            return _COLOR.sub("", line.strip())
    return type(root).__name__


def line_of_user(error: BaseException, module: nn.Module) -> str:
    """Returns "model.py, line 12, in forward: `if x.sum() > 0:`", or an empty string.

    Preferred is a line in a file that defines one of the module's own classes; the innermost wins.
    """
    own = _own_files(module)
    places = [place for part in _chain(error) for place in _places(part)]
    for wanted in (lambda file: file in own, _is_users):
        for file, line, function in reversed(places):
            if wanted(file):
                return _words(file, line, function)
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _places(error: BaseException) -> Iterator[tuple[str, int, str]]:
    for file, line, function in _IN_TEXT.findall(str(error)):
        yield file, int(line), function
    for frame in traceback.extract_tb(error.__traceback__):
        yield frame.filename, frame.lineno or 0, frame.name
    for file, line, function in _IN_TEXT.findall("\n".join(_node_traces(error))):
        yield file, int(line), function


def _node_traces(error: BaseException) -> Iterator[str]:
    """Yields where the operations come from that an exporter was translating when it failed.

    The dynamo exporter tells only the operation; its node remembers the lines of the user's code.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        meta = getattr(frame.f_locals.get("node"), "meta", None)
        if isinstance(meta, dict):
            yield str(meta.get("stack_trace", ""))


def _own_files(module: nn.Module) -> set[str]:
    files = set()
    for part in module.modules():
        kind = type(part)
        if kind.__module__.split(".")[0] not in {"torch", "workbench"}:
            files.add(_source_file(kind))
    return files - {""}


def _source_file(kind: type) -> str:
    forward = kind.__dict__.get("forward")
    code = None if forward is None else getattr(inspect.unwrap(forward), "__code__", None)
    return "" if code is None else str(code.co_filename)


def _is_users(file: str) -> bool:
    if file.startswith(("<frozen", "<string", "<eval_with_key")) or file.startswith(_OURS):
        return False
    return not file.startswith(_INSTALLED) and not file.startswith(sys.base_prefix)


def _words(file: str, line: int, function: str) -> str:
    text = linecache.getline(file, line).strip()
    name = Path(file).name
    place = f"{name}, line {line}" + (f", in {function}" if function else "")
    return f"{place}: `{text}`" if text else place
