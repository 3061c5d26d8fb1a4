"""`make bench`: each figure beside its goal. A missed goal is printed; it is no failure.

`python -m tests.benchmarks [PART…] [--json FILE]`; each part runs in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.figure import Figure, shown
from workbench.core.host import usable_cores
from workbench.runtime.cpu import describe_cpu

PARTS = (
    "startup", "training", "following", "measuring", "requantizing", "registry", "endpoint",
)  # fmt: skip
_LIMIT_S = 180
_LINE = "{:<44} {:>10} {:<11} {:>9}  {}"


def main() -> int:
    """Runs the parts asked for and prints their figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    parser.add_argument("--alone", choices=PARTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    unknown = sorted(set(asked.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if asked.alone:
        _run(asked.alone)
        return 0
    machine = _machine()
    _say(", ".join(f"{name} {value}" for name, value in machine.items()))
    figures = {part: _shown(part) for part in asked.parts or PARTS}
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "parts": figures}, indent=2))
    return 0


def _run(part: str) -> None:
    """Runs one part in this process; each figure is a line of JSON."""
    module = importlib.import_module(f"tests.benchmarks.{part}")
    with tempfile.TemporaryDirectory() as folder:
        for figure in module.figures(Path(folder) / ".workbench"):
            _say(json.dumps(figure.to_json()))


def _shown(part: str) -> dict[str, Any]:
    """Runs one part in a process of its own and prints its figures."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.benchmarks", "--alone", part]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
        output = done.stdout
        problem = "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else ""
        problem = f"not finished within {_LIMIT_S} s"
    found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    _say("\n" + _LINE.format(part, "value", "", "goal", f"({time.monotonic() - began:.0f} s)"))
    for row in found:
        figure = Figure(**{name: row[name] for name in Figure.__dataclass_fields__})
        _say(_row(figure))
    if problem:
        _say(f"  missed: {problem}")
    return {"figures": found, "problem": problem}


def _row(figure: Figure) -> str:
    name, value = f"  {figure.name}", shown(figure.value)
    return _LINE.format(name, value, figure.unit, figure.goal_text, figure.verdict).rstrip()


def _machine() -> dict[str, Any]:
    cpu = describe_cpu()
    return {
        "CPU": f"{cpu.name} ({cpu.int8})",
        "cores": usable_cores(),
        "Python": platform.python_version(),
        "torch": version("torch"),
        "onnxruntime": version("onnxruntime"),
    }


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
