"""Nothing asks which modality it is: pages, endpoint and panels follow what a modality says."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.data.modalities import MODALITIES

ROOT = Path(__file__).parents[2] / "workbench"
NAME = rf"""["']({"|".join(MODALITIES.keys())})["']"""
COMPARED = re.compile(rf"[=!]==?\s*{NAME}|{NAME}\s*[=!]==?|\bin\s*[(\[{{]\s*{NAME}")


def test_no_line_compares_a_modality_s_name():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in sorted([*ROOT.rglob("*.py"), *ROOT.rglob("*.js")])
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if COMPARED.search(line) and "store" not in path.parts  # its tables are those of SQLite
    ]
    assert found == []
