"""Names of datasets from names of files."""

from __future__ import annotations

import re


def dataset_name(text: str) -> str:
    """Returns `text` as a name: letters of any script, digits, '.', '-' and '_'."""
    name = re.sub(r"[^\w.-]+", "-", text).strip("-._")
    return name[:100] or "data"
