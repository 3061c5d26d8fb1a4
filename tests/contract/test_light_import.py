"""Importing the workbench and listing plug-ins stays cheap: no torch, no Jupyter."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "IPython", "ipywidgets", "jupyterlab", "pandas", "sklearn", "onnx", "plotly")


def modules_after(code: str) -> set[str]:
    """Top-level modules that are loaded after running `code` in a fresh interpreter."""
    script = f"{code}\nimport sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_else():
    loaded = modules_after("import workbench")
    assert not loaded & {*HEAVY, "pydantic", "numpy", "typer"}


def test_listing_methods_loads_nothing_heavy():
    loaded = modules_after(
        "from workbench.flow.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, ['methods'])\n"
        "assert result.exit_code == 0, result.output\n"
        "assert 'quantize_static' in result.output, result.output"
    )
    assert not loaded & set(HEAVY)


def test_screens_load_no_jupyter_and_no_torch():
    loaded = modules_after("import workbench.screens.app")
    assert not loaded & {"IPython", "ipykernel", "ipywidgets", "anywidget", "traitlets", "torch"}
