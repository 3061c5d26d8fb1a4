"""What a file asks of a decoder beside making pixels, counted in bytes before it is opened."""

from __future__ import annotations

import re

from workbench.core.errors import InputError

_JPEG = b"\xff\xd8"
_SCAN = b"\xff\xda"  # ITU T.81, B.1.1.3: SOS; inside a scan's data 0xFF is followed by 0 or RSTn
_TEXT_PPM = re.compile(rb"P[123]\s")
_MOST_COMMENTS = 1000  # Pillow copies what it has read for each


def check_work(data: bytes, most_scans: int, most_text_bytes: int) -> None:
    """Refuses what takes a decoder long for few pixels.

    Args:
        data: The file.
        most_scans: Of a JPEG. Each scan may touch every pixel, and takes a few bytes.
        most_text_bytes: Of a PPM whose numbers are text, which is read number by number.

    Raises:
        InputError: It does.
    """
    if data[:2] == _JPEG:
        _check(data.count(_SCAN), "scans of a JPEG", most_scans)
    elif _TEXT_PPM.match(data):
        _check(len(data), "bytes of a PPM in text", most_text_bytes)
        _check(data.count(b"#"), "comments in a PPM", _MOST_COMMENTS)


def _check(got: int, what: str, most: int) -> None:
    if got > most:
        raise InputError(
            f"not opened: {got:,} {what}; {most:,} are the most", context={"limit": most}
        )
