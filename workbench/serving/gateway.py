"""Behind a gateway: the path it puts before ours, who it says calls, and from where.

What a request says of its sender counts only if it comes from a proxy that is trusted by address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.core.errors import InputError
from workbench.serving.messages import Request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}")
_FORWARDED = b"x-forwarded-for"
_LONGEST = 200


@dataclass(frozen=True)
class Gateway:
    """What stands before the endpoint.

    Attributes:
        root_path: Put before every path by a gateway that does not take it off; "" for none.
        proxies: Networks whose headers are believed.
        identity_header: Header in which a trusted proxy names the user; lower case, "" for none.
    """

    root_path: bytes = b""
    proxies: tuple[Network, ...] = ()
    identity_header: bytes = b""

    def receive(self, request: Request) -> None:
        """Takes the root path off, and notes who calls from where."""
        root = self.root_path
        if (
            root
            and request.path.startswith(root)
            and request.path[len(root) : len(root) + 1]
            in (
                b"/",
                b"",
            )
        ):
            request.path = request.path[len(root) :] or b"/"
        if self.proxies and self._is_trusted(request.address):
            request.address = self._sender(request)
            if self.identity_header:
                name = request.header(self.identity_header).strip()[:_LONGEST]
                request.user = name or None

    def _sender(self, request: Request) -> str:
        """Returns the last address of X-Forwarded-For that is no trusted proxy itself."""
        listed = [part.strip() for part in request.header(_FORWARDED).split(",") if part.strip()]
        for address in reversed(listed):
            if not self._is_trusted(address):
                return address[:_LONGEST]
        return listed[0][:_LONGEST] if listed else request.address

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.proxies)


def read_gateway(root_path: str, proxies: Sequence[str], identity_header: str) -> Gateway:
    """Returns the gateway that the options describe.

    Raises:
        InputError: All that is wrong with them, at once.
    """
    problems: list[str] = []
    networks: list[Network] = []
    for text in proxies:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            problems.append(f"--trusted-proxy {text}: an address or a network as 10.0.0.0/8")
    root = root_path.rstrip("/")
    if root and not re.fullmatch(r"(/[\w.~%@:+-]+)+", root, re.ASCII):
        problems.append(f"--root-path {root_path}: a path as /models/digits")
    name = identity_header.lower()
    if name and not _HEADER.fullmatch(name):
        problems.append(f"--identity-header {identity_header}: the name of a header")
    if name and not networks:
        problems.append("--identity-header: anybody could send it; give --trusted-proxy, too")
    if problems:
        raise InputError("The options of the gateway are not valid.", problems=problems)
    return Gateway(root.encode(), tuple(networks), name.encode())
