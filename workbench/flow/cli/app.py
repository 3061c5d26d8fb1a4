"""The command line's frame: one app, one way to print, one border for errors."""

from __future__ import annotations

import sqlite3
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from workbench.core.errors import InputError, WorkbenchError
from workbench.core.ids import canonical_json
from workbench.core.lazy import lazy
from workbench.core.storage import storage_error

if TYPE_CHECKING:
    from workbench.flow import workspace as flow_workspace
    from workbench.flow.workspace import Workspace
else:
    flow_workspace = lazy("workbench.flow.workspace")

app = typer.Typer(
    name="workbench",
    help="From data to a compressed, signed, served model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Why = Annotated[str, typer.Option(help="The reason, for the audit log.")]
Options = Annotated[
    list[str] | None, typer.Option("-o", "--option", help="An option, as in -o seed=1.")
]


def main() -> None:
    """Runs the command line; an error is printed in words and gives exit code 1."""
    try:
        app(standalone_mode=True)
    except WorkbenchError as error:
        _end(error)
    except (OSError, sqlite3.Error) as error:
        found = storage_error(error)
        if found is None:
            raise
        _end(found)
    except KeyboardInterrupt:
        sys.exit(130)


def _end(error: WorkbenchError) -> NoReturn:
    say_error(error, as_json="--json" in sys.argv)
    sys.exit(1)


def workspace() -> Workspace:
    """Returns the workspace of the current folder; commands wait for their work."""
    return flow_workspace.Workspace()


def say(text: str = "") -> None:
    """Prints a line for a person."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit(value: Mapping[str, Any] | list[Any], as_json: bool, text: str) -> None:
    """Prints `value` as one line of JSON, or `text`."""
    say(canonical_json(value).decode() if as_json else text)


def say_error(error: WorkbenchError, *, as_json: bool) -> None:
    """Prints an error on standard error."""
    text = canonical_json({"error": error.to_dict()}).decode() if as_json else f"Error: {error}"
    sys.stderr.write(text + "\n")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns rows as aligned columns; numbers are right-aligned."""
    if not rows:
        return "none"
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(_width(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    right = [isinstance(rows[0].get(column), int | float) for column in columns]
    return "\n".join(
        "  ".join(_pad(text, widths[i], right[i]) for i, text in enumerate(line)).rstrip()
        for line in [columns, *cells]
    )


def parse_options(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Returns `key=value` pairs with numbers, booleans, lists and text told apart.

    Raises:
        InputError: A pair has no equals sign; all such pairs are named.
    """
    bad = [pair for pair in pairs or () if "=" not in pair]
    if bad:
        raise InputError(
            "Some options are not of the form key=value.", problems=bad, hint="As in: -o seed=1"
        )
    return {key: _value(text) for key, _, text in (pair.partition("=") for pair in pairs or ())}


def _value(text: str) -> Any:
    special = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in special:
        return special[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    return text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _width(text: str) -> int:
    return sum(2 if ord(c) >= 0x1100 and _is_wide(c) else 1 for c in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _pad(text: str, width: int, is_right: bool) -> str:
    blank = " " * (width - _width(text))
    return blank + text if is_right else text + blank
