"""Import and command start-up: CPU of a fresh process above that of the bare interpreter."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.figure import Figure, in_turns

_TIMES = 5
_COMMANDS = {
    "bare": ["-c", "pass"],
    "import": ["-c", "import workbench"],
    "methods": ["-m", "workbench.flow.cli.main", "methods"],
    "help": ["-m", "workbench.flow.cli.main", "--help"],
}


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    runs = {name: _process(arguments, folder) for name, arguments in _COMMANDS.items()}
    for run in runs.values():
        run()  # compiles what is not compiled yet
    cost = {name: median(values) for name, values in in_turns(runs, _TIMES).items()}
    bare = cost["bare"]
    yield Figure("the bare interpreter", bare, "CPU-s")
    yield Figure("import workbench, above it", cost["import"] - bare, "CPU-s", 0.06)
    yield Figure("workbench methods, above it", cost["methods"] - bare, "CPU-s", 0.5)
    yield Figure("workbench --help, above it", cost["help"] - bare, "CPU-s")


def _process(arguments: list[str], folder: Path) -> Callable[[], float]:
    environment = {
        **os.environ,
        "WORKBENCH_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }

    def run() -> float:
        before = _cpu_of_children()
        subprocess.run(
            [sys.executable, "-P", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=30,
        )
        return _cpu_of_children() - before

    return run


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
