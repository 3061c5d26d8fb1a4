"""Values as YAML, for the programs that read nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.core.optional import require


def yaml_text(*values: Mapping[str, Any]) -> str:
    """Returns one YAML document for each value; keys keep their order."""
    yaml = require("yaml", for_="writing YAML")
    text: str = yaml.safe_dump_all(
        map(dict, values), sort_keys=False, allow_unicode=True, width=100
    )
    return text
