"""Writes workbench/REFERENCE.md from the code itself: `make docs`. A test holds it current."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
from pathlib import Path
from typing import Any

import typer

import workbench
from workbench.core.config import NoConfig
from workbench.core.errors import error_types
from workbench.flow import plugin_kinds
from workbench.flow.cli.main import app
from workbench.training.config import TrainConfig

PATH = Path(workbench.__file__).parent / "REFERENCE.md"
SETTINGS = {
    "WORKBENCH_HOME": "The workspace's folder. Default: the nearest `.workbench/` upward, else "
    "beside the nearest `pyproject.toml` or `.git`, else in the current folder.",
    "WORKBENCH_TOKEN": "Read by the snippets that call an endpoint; never by the workbench.",
    "WORKBENCH_BATCH": "Set in the kernel of `workbench run`: verbs then run inline and remember "
    "finished steps.",
    "WORKBENCH_NOTEBOOK_SHA256": "Set in the kernel of `workbench run`: recorded in versions.",
    "WORKBENCH_PAYLOAD": "Set for a run's own process when a live module comes through its pipe.",
    "JUPYTER_RUNTIME_DIR": "Where endpoints leave the file by which others find them.",
}


def reference() -> str:
    """Returns the whole page."""
    parts = [
        "# Reference\n\nWritten from the code by `make docs`.",
        _verbs(),
        _commands(),
        _plugins(),
        _options("Options of `train`", TrainConfig),
        _errors(),
        _settings(),
    ]
    return "\n\n".join(parts) + "\n"


def _verbs() -> str:
    rows = []
    for name in workbench.__all__:
        verb = getattr(workbench, name)
        if inspect.isfunction(verb):
            signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(verb)))
            rows.append(f"### `wb.{name}{signature}`\n\n{inspect.getdoc(verb)}")
    return "## Verbs\n\n" + "\n\n".join(rows)


def _commands() -> str:
    os.environ["COLUMNS"] = "100"
    group: Any = typer.main.get_command(app)
    known = dict(group.commands)
    for name, part in group.commands.items():
        for own, command in getattr(part, "commands", {}).items():
            known[f"{name} {own}"] = command
    rows = [f"| `workbench {n}` | {_line(c.help)} |" for n, c in sorted(known.items())]
    return "\n".join(["## Commands\n", "| command | what it does |", "| --- | --- |", *rows])


def _plugins() -> str:
    parts = ["## Plug-ins"]
    for kind in plugin_kinds.kinds():
        parts.append(f"### {kind}")
        registry = plugin_kinds.registry(kind)
        for key in registry:
            plugin = registry.get(key)
            parts.append(f"**`{key}`**: {plugin.summary.rstrip('.')}.")
            if plugin.Config.model_fields:
                parts.append(_fields(plugin.Config))
            chosen = getattr(plugin, "Options", NoConfig)
            if chosen.model_fields:
                parts.append("Options when data are loaded:")
                parts.append(_fields(chosen))
    return "\n\n".join(parts)


def _options(title: str, config: Any) -> str:
    return f"## {title}\n\n{_fields(config)}"


def _fields(config: Any) -> str:
    rows = ["| option | default | meaning |", "| --- | --- | --- |"]
    for name, field in config.model_fields.items():
        default = f"`{field.get_default(call_default_factory=True)!r}`"
        shown = "required" if field.is_required() else default.replace("|", "\\|")
        rows.append(f"| `{name}` | {shown} | {_line(field.description)} |")
    return "\n".join(rows)


def _errors() -> str:
    _import_all()
    rows = ["| code | HTTP | meaning |", "| --- | --- | --- |"]
    for code, cls in sorted(error_types().items()):
        if cls.__module__.startswith("workbench."):
            rows.append(f"| `{code}` | {cls.http_status} | {_line(cls.__doc__)} |")
    return "\n".join(["## Errors\n", *rows])


def _settings() -> str:
    rows = [f"| `{name}` | {text} |" for name, text in SETTINGS.items()]
    return "\n".join(["## Settings\n", "| variable | meaning |", "| --- | --- |", *rows])


def _line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("|", "\\|")


def _import_all() -> None:
    for module in pkgutil.walk_packages(workbench.__path__, "workbench."):
        if not module.name.endswith(("_child", ".child", "__main__")):
            importlib.import_module(module.name)


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
