"""Fails when a notebook in the repository holds outputs or execution counts."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def dirty_cells(path: Path) -> list[int]:
    """Returns the indices of the cells that were executed and saved."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [i for i, c in enumerate(cells) if c.get("outputs") or c.get("execution_count")]


def main() -> int:
    """Checks all notebooks; returns the exit code."""
    root = Path(__file__).parents[2] / "notebooks"
    dirty = {p: cells for p in sorted(root.rglob("*.ipynb")) if (cells := dirty_cells(p))}
    for path, cells in dirty.items():
        sys.stderr.write(f"{path.relative_to(root.parent)}: outputs in cells {cells}\n")
    if dirty:
        sys.stderr.write("Strip them with: nbstripout FILE\n")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
