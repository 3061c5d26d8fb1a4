"""Commands of the registry: register, promote, rollback, verify, audit, models, delete, gc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workbench.flow.cli.app import Json, Why, app, emit, table, workspace

if TYPE_CHECKING:
    from workbench.flow.version import ModelVersion

_VERSION = "A version's ref, as in model:digits@champion or model:digits@3."


@app.command()
def register(
    model: Annotated[str, typer.Argument(help="A run:, variant: or study: ref.")],
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    as_json: Json = False,
) -> None:
    """Make a signed, numbered version."""
    _emit_version(workspace().register(model, name), as_json)


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    version: Annotated[str, typer.Argument(help="Number of the version, or its ref.")],
    alias: Annotated[str, typer.Option(help="The alias to move.")] = "champion",
    force: Annotated[bool, typer.Option(help="Also if a rollback revoked the version.")] = False,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Point an alias at a version."""
    _emit_version(workspace().promote(name, version, alias, force, why=why), as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    alias: Annotated[str, typer.Option(help="The alias to take back.")] = "champion",
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Take an alias back to the version before."""
    _emit_version(workspace().rollback(name, alias, why=why), as_json)


@app.command()
def verify(
    ref: Annotated[str, typer.Argument(help=_VERSION)],
    as_json: Json = False,
) -> None:
    """Re-hash a version's files and check its signature."""
    version = workspace().verify(ref)
    emit(
        {"verified": True, **version.to_json()},
        as_json,
        f"{version.ref}: files, manifest and signature are what was registered.",
    )


@app.command()
def audit(
    about: Annotated[str, typer.Argument(help="Only what is about this model or endpoint.")] = "",
    last: Annotated[int, typer.Option(min=1, help="The most to show, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show who did what, from where and why, after checking that the log is whole.

    A log that was changed or cut is shown, too; the error comes last, and the exit code tells.
    """
    log = workspace().store.audit
    found = [e for e in log.entries() if about in e.subject][-last:][::-1]
    rows = [
        {
            "time": e.time[:19].replace("T", " "),
            "who": e.actor,
            "what": e.action,
            "of": e.subject,
            "why": e.data.get("reason", ""),
        }
        for e in found
    ]
    emit([vars(entry) for entry in found], as_json, table(rows))
    log.verify()


@app.command()
def models(as_json: Json = False) -> None:
    """List models and versions."""
    versions = [version.to_json() for version in workspace().models()]
    rows = [
        {
            "version": v["ref"],
            "aliases": ", ".join(v["aliases"]),
            "kB": v["size_bytes"] / 1000,
            "recipe": v["recipe"] or "",
            "created": v["created"][:16].replace("T", " "),
        }
        for v in versions
    ]
    emit(versions, as_json, table(rows))


@app.command()
def delete(
    ref: Annotated[str, typer.Argument(help="A version (model:name@3) or an ended run.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also a version that a running endpoint serves.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete a version or a run; its files go with `gc`."""
    workspace().delete(ref, force=force)
    emit({"deleted": ref}, as_json, f"Deleted {ref}.")


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Forget records that are gone or broken for good, once the log names them.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove files that nothing needs, and what ended processes left behind."""
    freed = workspace().gc(dry_run=dry_run, accept_loss=accept_loss)
    word = "would free" if dry_run else "freed"
    text = f"{word} {freed['files']} files, {freed['bytes'] / 1e6:.1f} MB; "
    text += f"{freed['leftovers']} left-overs, {freed['leftover_bytes'] / 1e6:.1f} MB"
    if freed["changed"]:
        text += f"; forgot {freed['changed']} results that were changed (`workbench audit`)"
    if freed["lost"]:
        text += f"; accepted {freed['lost']} losses (`workbench audit` names them)"
    if freed["in_use"]:
        text += f"; {freed['in_use']} more stay, since a running endpoint serves them"
    emit(freed, as_json, text)


def _emit_version(version: ModelVersion, as_json: bool) -> None:
    chips = "".join(f" <{alias}>" for alias in version.aliases)
    emit(version.to_json(), as_json, f"{version.ref}{chips}  {version.size_bytes / 1000:.1f} kB")
