"""What the first and last bytes of a sound file tell. Reads bytes, decodes nothing."""

from __future__ import annotations

import struct

from workbench.core.errors import InputError

FORMATS = ("WAV", "FLAC", "OGG")
_UNTOLD = 0xFFFFFFFF  # of a WAV written to a pipe: its length was not known yet
_PAGE_HEAD = 27
# Formats that are known and not opened.
_FOREIGN = (
    (0, b"ID3", "MP3"),
    (0, b"RF64", "RF64"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"caff", "CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"MThd", "MIDI"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media"),
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"%PDF", "PDF"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"AVI ", "AVI"),
)


def sound_format(data: bytes) -> str:
    """Returns which of `FORMATS` a file begins as.

    Raises:
        InputError: None of them; the message says what it is instead, if that is known.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"fLaC":
        return "FLAC"
    if data[:4] == b"OggS":
        return "OGG"
    raise InputError(f"{_other(data)} is not opened; {', '.join(FORMATS)} are")


def check_whole(data: bytes, kind: str) -> None:
    """Refuses a WAV or OGG that ends before it says: a decoder would take what is left for all.

    Of a FLAC the decoder tells.

    Raises:
        InputError: It does.
    """
    missing = {"WAV": _missing_of_wav, "OGG": _missing_of_ogg}.get(kind)
    lacks = missing(data) if missing else 0
    if lacks:
        raise InputError(f"the file is cut off: {lacks:,} bytes that it announces are missing")


def _other(data: bytes) -> str:
    if not data:
        return "an empty file"
    for at, sign, name in _FOREIGN:
        if data[at:].startswith(sign):
            return name
    if data[0] == 0xFF and data[1:2] and data[1] & 0xE0 == 0xE0:  # ISO 11172-3, 2.4.1.3: syncword
        return "MP3 or AAC"
    return "a text" if _is_text(data[:512]) else "a file of an unknown format"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(sign.isprintable() or sign in "\r\n\t\ufeff" for sign in text)


def _missing_of_wav(data: bytes) -> int:
    """Walks the chunks. Source: IBM and Microsoft, "Multimedia Programming Interface", RIFF."""
    place = 12
    while place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == b"data":
            return 0 if size == _UNTOLD else max(0, place + 8 + size - len(data))
        place += 8 + size + size % 2
    raise InputError("the file is cut off: it ends before its samples begin")


def _missing_of_ogg(data: bytes) -> int:
    """Looks at the last page. Source: RFC 3533, section 6."""
    place = data.rfind(b"OggS")
    if place + _PAGE_HEAD > len(data):
        return place + _PAGE_HEAD - len(data)
    segments = data[place + _PAGE_HEAD - 1]
    sizes = data[place + _PAGE_HEAD : place + _PAGE_HEAD + segments]
    lacks = segments - len(sizes)
    return lacks or max(0, place + _PAGE_HEAD + segments + sum(sizes) - len(data))
