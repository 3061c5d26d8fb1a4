"""Runs the page's own scripts in node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from workbench.widgets.live.binding import STATIC


def in_node(name: str, code: str, expression: str) -> object:
    """Returns what `expression` is (a promise is awaited) after a script of the page and `code`."""
    node = shutil.which("node")
    if node is None and os.environ.get("CI"):
        pytest.fail("CI must have node.")
    if node is None:
        pytest.skip("needs node (apt install nodejs)")
    text = (STATIC / f"{name}.js").read_text("utf-8")
    script = f"{text}\n{code}\nconsole.log(JSON.stringify(await ({expression})))"
    command = [node, "--input-type=module", "-e", script]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
