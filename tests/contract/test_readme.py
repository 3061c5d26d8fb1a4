"""The README is tested: its blocks run in order, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from workbench.flow.cli.main import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def test_the_python_blocks_run_in_order(tmp_path):
    script = "\n".join(code for kind, code in BLOCKS if kind == "python")
    script = re.sub(r'budget="\d+ s"', 'budget="3 s"', script)
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert "Prediction(label=" in done.stdout


def commands() -> list[list[str]]:
    lines = [line for kind, code in BLOCKS if kind == "bash" for line in code.splitlines()]
    return [line.split("#")[0].split() for line in lines if line.strip()]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_shell_line_is_a_command_that_exists(words):
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    elif words[0] == "workbench":
        command = typer.main.get_command(app).commands[words[1]]
        for word in words[2:3]:  # a group's own command
            command = getattr(command, "commands", {}).get(word, command)
        options = {name for option in command.params for name in option.opts}
        assert {word for word in words[2:] if word.startswith("-")} <= options
    else:
        assert words[:2] == ["pip", "install"]


def test_every_local_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
