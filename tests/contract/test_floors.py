"""Imports go down only, neighbours never import each other, nothing inside imports the root."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "workbench"
FLOORS = {
    "core": 0,
    "store": 1,
    "tasks": 1,
    "data": 2,
    "formats": 2,
    "families": 2,
    "engine": 2,
    "runtime": 2,
    "training": 3,
    "exporting": 3,
    "evaluation": 3,
    "compression": 4,
    "serving": 4,
    "flow": 5,
    "screens": 6,
    "widgets": 7,
    "lab": 7,
}
NO_TORCH = ("core", "store", "tasks", "data", "runtime", "serving")
LOSSES = ROOT / "tasks" / "losses"
NO_JUPYTER = tuple(room for room in FLOORS if room not in ("widgets", "lab"))
JUPYTER = (
    *("IPython", "ipykernel", "ipywidgets", "anywidget", "traitlets"),
    *("jupyterlab", "jupyter_server", "voila"),
)

FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, at once or lazily (type-checking blocks left out)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for part in block.body
        for node in ast.walk(part)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("lazy", "require") and str(node.args[0].value).startswith("workbench."):
                found.add(str(node.args[0].value))
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "workbench":
                found.update(f"workbench.{alias.name}" for alias in node.names)
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    here = room(path)
    for name in imports(path):
        if not name.startswith("workbench"):
            continue
        parts = name.split(".")
        assert len(parts) > 1, f"{path.name} imports the package root"
        there = parts[1]
        is_down = there == here or FLOORS[there] < FLOORS[here]
        assert is_down, f"{here} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_light_rooms_name_no_heavy_module(path):
    tops = {name.split(".")[0] for name in imports(path)}
    if room(path) in NO_TORCH and path.parent != LOSSES:
        assert not tops & {"torch", "torch_pruning"}, path
    if room(path) in NO_JUPYTER:
        assert not tops & set(JUPYTER), path


def test_every_room_has_a_floor():
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(FLOORS)
