"""`workbench demo`: the whole road on data that comes with the package, in one command."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.flow.pipeline import run_pipeline

if TYPE_CHECKING:
    from workbench.flow.workspace import Workspace

PIPELINE = "classification"
MODEL = "digits-cnn"
_INTRODUCTION = """\
Handwritten digits → a CNN → compressed variants, measured as deployed → a signed version →
an endpoint that answers over HTTP. About a minute; a second time a few seconds.
"""


def run_demo(workspace: Workspace, report: Path, *, is_shown: bool = True) -> dict[str, Any]:
    """Executes the classification pipeline on the digits and returns what came of it."""
    if is_shown:
        sys.stdout.write(_INTRODUCTION + "\n")
        sys.stdout.flush()
    began = time.monotonic()
    page = report.expanduser().absolute()
    parameters = {"dataset": "digits", "name": MODEL, "report": str(page)}
    done = run_pipeline(workspace.store, PIPELINE, parameters, is_shown=is_shown)
    version = workspace.version(f"model:{MODEL}@champion")
    return {
        "version": version.ref,
        "recipe": version.manifest.get("recipe"),
        "metrics": dict(version.metrics),
        "report": str(report),
        "notebook": str(done.notebook),
        "seconds": round(time.monotonic() - began, 1),
    }


def closing_words(result: Mapping[str, Any]) -> str:
    """Returns the next lines to type."""
    return f"""
Done in {result["seconds"]:.0f} s. Look at it:  {result["report"]}

Next:
  workbench models                          the version you just made
  workbench verify {result["version"]:<25}its files, manifest and signature
  workbench serve model:{MODEL}@champion
  workbench run {PIPELINE} -p dataset=YOUR.csv -p target=COLUMN -p family=mlp"""
