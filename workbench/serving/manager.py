"""A typed client for what may be changed while an endpoint runs: traffic, tokens, models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from workbench.serving.client import Client
from workbench.serving.state import READY, UNAVAILABLE, IndexRow
from workbench.serving.tokens import Grant
from workbench.serving.traffic import Traffic, TrafficReport

_TOKENS = "/manage/tokens"
_REPOSITORY = "/v2/repository"


@dataclass(frozen=True)
class NewToken:
    """A token just made.

    Attributes:
        grant: What it allows.
        text: What requests carry: `Authorization: Bearer TEXT`. Kept nowhere else, and not shown.
    """

    grant: Grant
    text: str

    def __repr__(self) -> str:
        return f"NewToken({self.grant.name!r}, text in .text)"


class Manager:
    """Manages one endpoint.

    Args:
        client: Its token must allow "manage".

    Whatever changes something takes `why`: a reason of at most 500 characters for the audit log.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def traffic(self, model: str | None = None) -> TrafficReport:
        """Returns who answers a model's requests; None for the only model."""
        return _report(self._client.call("GET", self._path(model)))

    def set_traffic(
        self, traffic: Traffic | None, model: str | None = None, *, why: str = ""
    ) -> TrafficReport:
        """Shares a model's requests out anew, or not at all; returns what is in force then.

        Raises:
            WorkbenchError: A version it names cannot be served; nothing is changed then.
        """
        if traffic is None:
            return _report(self._client.call("DELETE", self._path(model), why=why))
        return _report(self._client.call("PUT", self._path(model), traffic.to_json(), why=why))

    def grants(self) -> list[Grant]:
        """Returns what each token allows."""
        rows = json.loads(self._client.call("GET", _TOKENS))
        return [Grant.parse(row, what="a token") for row in rows]

    def add_token(self, grant: Grant, *, why: str = "") -> NewToken:
        """Makes a token.

        Raises:
            InputError: The name is taken.
        """
        made = json.loads(self._client.call("POST", _TOKENS, grant.to_json(), why=why))
        return NewToken(grant, made["token"])

    def revoke_token(self, name: str, *, why: str = "") -> None:
        """Shuts a token out.

        Raises:
            NotFoundError: No such token.
        """
        self._client.call("DELETE", f"{_TOKENS}/{quote(name, safe='')}", why=why)

    def index(self) -> list[IndexRow]:
        """Returns the versions that are served, and those that were or should be."""
        rows = json.loads(self._client.call("POST", f"{_REPOSITORY}/index", {}))
        return [IndexRow(**row) for row in rows]

    def load(self, model: str, *, why: str = "") -> list[IndexRow]:
        """Serves a model of the registry, or a further version of one; returns what is served.

        Args:
            model: `NAME`, or `NAME@ALIAS` or `NAME@3` for one version.
            why: The reason, for the audit log.

        Raises:
            NotFoundError: There is no such model or version.
            IntegrityError: Its files are not what was registered.
        """
        return self._change(model, "load", why)

    def unload(self, model: str, *, why: str = "") -> list[IndexRow]:
        """Takes a model, or one version of it, out; it first answers what it owes.

        Raises:
            NotFoundError: It is not served.
            StateError: The version gets a share of the requests.
        """
        return self._change(model, "unload", why)

    def _change(self, model: str, verb: str, why: str) -> list[IndexRow]:
        path = f"{_REPOSITORY}/models/{quote(model, safe='')}/{verb}"
        rows = json.loads(self._client.call("POST", path, {}, why=why))
        state = READY if verb == "load" else UNAVAILABLE
        return [IndexRow(state=state, **row) for row in rows]

    def _path(self, model: str | None) -> str:
        name = model or self._client.model or str(self._client.about()["model"])
        return f"/manage/traffic/{quote(name, safe='')}"


def _report(body: bytes) -> TrafficReport:
    return TrafficReport.from_json(json.loads(body))
