"""Pictures are opened in one place only, which knows formats and limits."""

from __future__ import annotations

import re
from pathlib import Path

import workbench

_OPENS = re.compile(r"\bImage\.open\(|pillow\(\)\.open\(|\.OPEN\b|ImageFile\.Parser|imread\(")


def test_pictures_are_opened_through_one_door():
    root = Path(workbench.__file__).parent
    found = [
        path.relative_to(root).as_posix()
        for path in sorted(root.rglob("*.py"))
        if _OPENS.search(re.sub(r"`[^`]*`", "", path.read_text("utf-8")))
    ]
    assert found == ["data/picture_file.py"]
