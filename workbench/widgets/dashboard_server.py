"""Voila as `workbench dashboards` starts it: it answers to its own names only.

A page of another site whose name was re-bound to this address would else read the dashboard.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import traitlets
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import RequestHandler
from voila.app import Voila


def is_own(host: str, names: Collection[str]) -> bool:
    """Returns whether a Host header names this server: an address, localhost, or one of `names`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Dashboards(Voila):  # type: ignore[misc]
    """Voila behind a check of the Host header.

    Attributes:
        allowed_hosts: Further names by which it may be called.
    """

    allowed_hosts: traitlets.List[str] = traitlets.List(traitlets.Unicode()).tag(config=True)

    def listen(self) -> None:
        """Puts the check before all pages, files and sockets; then listens.

        On a hub the name is the hub's, and nobody's browser reaches this address but through it.
        """
        if "JUPYTERHUB_SERVICE_PREFIX" not in os.environ:
            names = frozenset(name.lower() for name in self.allowed_hosts)
            self.app.default_router.rules.insert(0, Rule(_Foreign(names), _Refused))
        super().listen()


class _Foreign(Matcher):
    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return None if is_own(request.host, self._names) else {}


class _Refused(RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(
            f"Got a request for the host '{self.request.host[:200]}', which is not one of these "
            "dashboards. Call them by their address, or start them with --allow-host NAME.\n"
        )


if __name__ == "__main__":
    Dashboards.launch_instance()
