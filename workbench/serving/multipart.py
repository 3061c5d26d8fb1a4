"""multipart/form-data: the files and fields of an uploaded form. Source: RFC 7578."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.serving.errors import BadRequestError

_MAX_PARTS = 1024
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
    boundary = (found[1] or found[2]).encode("latin-1")
    count = body.count(b"--" + boundary) - 1
    if count > _MAX_PARTS:
        raise BadRequestError(f"Got about {count} parts; at most {_MAX_PARTS} are taken.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BadRequestError(
            "Got a multipart body that is cut off or whose boundary does not match.",
            hint="curl -F inputs=@picture.png builds a right one.",
        )
    return [_part(piece, place) for place, piece in enumerate(pieces[1:-1])]


def _part(piece: bytes, place: int) -> Part:
    head, gap, body = piece.partition(b"\r\n\r\n")
    if not gap:
        raise BadRequestError(f"Part {place} of the form has no blank line after its headers.")
    disposition = next(
        (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")),
        b"",
    )
    name = _NAME.search(disposition)
    if name is None:
        raise BadRequestError(f"Part {place} of the form has no name.")
    return Part(name[1].decode("utf-8", "replace"), bool(_FILE.search(disposition)), body)
