"""multipart/form-data: the files and fields of an uploaded form. Source: RFC 7578."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from workbench.serving.errors import BadRequestError

_MAX_PARTS = 1024
_MAX_HEAD_BYTES = 4096  # of a part: about as many as a name and a file name take
_SLICE_BYTES = 1024 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILE = re.compile(rb"\bfilename\*?=", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    name: str
    is_file: bool
    body: bytes


def parse_form(content_type: str, body: bytes) -> list[Part]:
    """Returns the parts of a form.

    Args:
        content_type: The request's header, with its boundary.
        body: The whole body.

    Raises:
        BadRequestError: There is no boundary, no part, or a broken one.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise BadRequestError("Got multipart/form-data without a boundary in Content-Type.")
    marks = _boundaries(body, b"--" + (found[1] or found[2]).encode("latin-1"))
    if len(marks) < 2 or not body.startswith(b"--", marks[-1][1]):
        raise BadRequestError(
            "Got a multipart body that is cut off or whose boundary does not match.",
            hint="curl -F inputs=@FILE builds a right one.",
        )
    return [
        _part(body, before[1], after[0], place)
        for place, (before, after) in enumerate(pairwise(marks))
    ]


def _boundaries(body: bytes, mark: bytes) -> list[tuple[int, int]]:
    """Returns where boundaries begin, with the line end before them, and end."""
    found: list[tuple[int, int]] = []
    at = find_in_turns(body, mark)
    while at >= 0:
        if at == 0 or body.startswith(b"\r\n", at - 2):
            found.append((max(0, at - 2), at + len(mark)))
            if len(found) > _MAX_PARTS + 1:
                raise BadRequestError(f"Got more than {_MAX_PARTS} parts, the most taken.")
            if body.startswith(b"--", found[-1][1]):
                break
        at = find_in_turns(body, mark, at + len(mark))
    return found


def find_in_turns(body: bytes, mark: bytes, begin: int = 0) -> int:
    """Returns where `mark` is next, or -1; others may run in between, however long it takes."""
    for at in range(begin, len(body), _SLICE_BYTES):
        found = body.find(mark, at, at + _SLICE_BYTES + len(mark) - 1)
        if found >= 0:
            return found
    return -1


def _part(form: bytes, begin: int, end: int, place: int) -> Part:
    gap = form.find(b"\r\n\r\n", begin, min(end, begin + _MAX_HEAD_BYTES))
    if gap < 0:
        raise BadRequestError(
            f"Part {place} of the form has no blank line after its headers, of which "
            f"{_MAX_HEAD_BYTES} bytes are taken."
        )
    head, body = form[begin:gap], form[gap + 4 : end]
    disposition = next(
        (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")),
        b"",
    )
    name = _NAME.search(disposition)
    if name is None:
        raise BadRequestError(f"Part {place} of the form has no name.")
    return Part(name[1].decode("utf-8", "replace"), bool(_FILE.search(disposition)), body)
