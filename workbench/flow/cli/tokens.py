"""Commands of an endpoint's tokens: list, add, revoke."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.core.lazy import lazy
from workbench.flow.cli.app import Json, Why, app, emit, say, table, workspace

if TYPE_CHECKING:
    from workbench.flow import endpoint as flow_endpoint
    from workbench.serving.tokens import Grant
else:
    flow_endpoint = lazy("workbench.flow.endpoint")

tokens = typer.Typer(help="Who may call a running endpoint.", no_args_is_help=True)
app.add_typer(tokens, name="tokens")

Endpoint = Annotated[str, typer.Argument(help="An endpoint's id, or a model it serves.")]


@tokens.command("list")
def list_(endpoint: Endpoint, as_json: Json = False) -> None:
    """List what each token allows; their text is kept nowhere."""
    found = flow_endpoint.find(workspace().store, endpoint).tokens()
    emit([grant.to_json() for grant in found], as_json, table([_row(grant) for grant in found]))


@tokens.command()
def add(
    endpoint: Endpoint,
    name: Annotated[str, typer.Argument(help="For the audit log and for revoking.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="predict (default), manage, metrics.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only for this model.")] = None,
    expires: Annotated[str | None, typer.Option(help="After this time, as 12h or 30d.")] = None,
    rate: Annotated[float | None, typer.Option(help="Predictions a second.")] = None,
    burst: Annotated[int | None, typer.Option(help="Predictions at once.")] = None,
    max_body: Annotated[int | None, typer.Option(help="Bytes of one request.")] = None,
    max_values: Annotated[int | None, typer.Option(help="Numbers of one request.")] = None,
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once: it is kept nowhere."""
    limits = {"rate": rate, "burst": burst, "body_bytes": max_body, "values": max_values}
    made = flow_endpoint.find(workspace().store, endpoint).add_token(
        name,
        scope or ("predict",),
        models=model or None,
        expires=expires,
        why=why,
        **{key: value for key, value in limits.items() if value is not None},
    )
    emit({**made.grant.to_json(), "token": made.text}, as_json, made.text)


@tokens.command()
def revoke(
    endpoint: Endpoint,
    name: Annotated[str, typer.Argument(help="The token's name.")],
    why: Why = "",
) -> None:
    """Shut a token out from the next request on."""
    flow_endpoint.find(workspace().store, endpoint).revoke_token(name, why=why)
    say(f"Revoked {name}.")


def _row(grant: Grant) -> dict[str, str]:
    limits = grant.limits.model_dump(exclude_none=True)
    until = grant.expires and datetime.fromtimestamp(grant.expires, UTC)
    return {
        "name": grant.name,
        "scopes": ", ".join(grant.scopes),
        "models": "all" if grant.models is None else ", ".join(grant.models),
        "expires": "never" if until is None else f"{until:%Y-%m-%d %H:%M} UTC",
        "limits": ", ".join(f"{name} {value:g}" for name, value in limits.items()) or "none",
    }
