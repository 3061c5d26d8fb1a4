"""The options of an endpoint's process, read from its command line."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.errors import InputError
from workbench.serving.batching import BatchLimits
from workbench.serving.decoding_room import DecodingRoom, limits_for
from workbench.serving.gateway import read_gateway
from workbench.serving.limits import Limits
from workbench.serving.liveness import Patience
from workbench.serving.log_limits import LogLimits
from workbench.serving.payloads import Keeping
from workbench.serving.provider import Provider, read_provider
from workbench.serving.service import Settings
from workbench.serving.traffic import Traffic, parse_weights

_HUB_IDLE_MINUTES = 30.0
_LEAVE_S = 10.0
_PART_MB = 32.0


@dataclass(frozen=True)
class Options:
    """What one endpoint process was asked for.

    Attributes:
        refs: Registry refs, artifact digests or .onnx files.
        name: Name for the only ref; None for its own.
        home: The workspace; None for the one of the current folder.
        host: Address to listen on.
        port: 0 lets the system choose.
        id: The endpoint's id; None makes one.
        token: The clear token; None makes one.
        allowed_hosts: Further names for the Host header.
        is_json: Print the ready line as JSON.
        is_quiet: Print no ready line: whoever started it reads the discovery file.
        keeps_log: Whether to write the request log.
        traffic: Of the only model, from the start.
        workers: Processes behind the port.
        is_worker: This process is one of several, started by their supervisor.
        folder: Of the endpoint; None for the one in the workspace.
        tls: Nothing, "self", or the files of a certificate and its key.
        provider: Whose JWTs are taken beside the endpoint's own tokens.
        settings: How it runs.
    """

    refs: tuple[str, ...]
    name: str | None = None
    home: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    id: str | None = None
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    is_json: bool = False
    is_quiet: bool = False
    keeps_log: bool = True
    traffic: Traffic | None = None
    workers: int = 1
    is_worker: bool = False
    folder: Path | None = None
    tls: tuple[str, ...] = ()
    provider: Provider | None = None
    settings: Settings = field(default_factory=Settings)


def parser() -> argparse.ArgumentParser:
    """Returns what reads the command line."""
    made = argparse.ArgumentParser(prog="workbench serve", description="Serves models.")
    made.add_argument("refs", nargs="*", metavar="REF_OR_FILE.onnx", help="what to serve")
    made.add_argument("--ref", action="append", default=[], help="the same, as an option")
    made.add_argument("--name", help="serve it under this name")
    made.add_argument("--home", type=Path, help="the workspace")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    made.add_argument(
        "--grpc-port", type=int, help="also speak gRPC there; 0 lets the system choose"
    )
    made.add_argument("--id", help="the endpoint's id")
    made.add_argument("--token-file", type=Path, help="file with the token; default a new one")
    made.add_argument("--allow-host", action="append", default=[], help="further Host names")
    made.add_argument("--json", action="store_true", help="print the ready line as JSON")
    made.add_argument("--quiet", action="store_true", help="print no ready line")
    made.add_argument("--no-log", action="store_true", help="keep no request log")
    made.add_argument("--threads", type=int, default=1, help="threads inside a prediction")
    made.add_argument("--max-batch", type=int, default=64, help="rows in one run")
    made.add_argument("--max-queue", type=int, default=512, help="requests waiting")
    made.add_argument("--max-body", type=int, default=64_000_000, help="bytes of a request")
    made.add_argument(
        "--max-buffered", type=int, metavar="BYTES",
        help="of all bodies that are not answered yet, in each worker; "
        "default 512 MiB, or what one body may have",
    )  # fmt: skip
    made.add_argument(
        "--max-picture-pixels", type=int, default=50_000_000, help="pixels of one picture"
    )
    made.add_argument(
        "--max-decoding",
        type=int,
        default=500_000_000,
        help="bytes that decoding may take at once, in all workers; half of it for one picture",
    )
    made.add_argument("--traffic", help="champion=90,canary=10, or JSON with shadow and budget")
    made.add_argument(
        "--keep-payloads", type=float, metavar="SHARE", help="keep samples; by default none"
    )
    made.add_argument("--redact", action="append", default=[], help="a column never kept")
    made.add_argument(
        "--idle-stop", type=float, metavar="MINUTES", help="stop when unused; 0 never does"
    )
    made.add_argument("--workers", type=int, default=1, help="processes behind the port")
    made.add_argument(
        "--hung-after", type=float, default=5.0, metavar="SECONDS",
        help="a worker that answers nothing for so long is replaced; 0 never",
    )  # fmt: skip
    made.add_argument(
        "--run-hung-after", type=float, default=120.0, metavar="SECONDS",
        help="likewise one whose model has been running one batch for so long",
    )  # fmt: skip
    made.add_argument(
        "--start-within", type=float, default=60.0, metavar="SECONDS",
        help="a worker that has not loaded its models by then is ended; one that takes another's "
        "place has at most 5 seconds more than three times what the first ones took",
    )  # fmt: skip
    made.add_argument(
        "--log-size", type=float, default=1000.0, metavar="MB", help="most of the request log"
    )
    made.add_argument("--log-days", type=int, default=30, help="how long its files are kept")
    made.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    made.add_argument(
        "--tls", nargs="+", default=[], metavar="self | FILE", help="self, or CERTIFICATE KEY"
    )
    made.add_argument("--root-path", default="", help="put before paths by a gateway")
    made.add_argument("--trusted-proxy", action="append", default=[], help="address or network")
    made.add_argument("--identity-header", default="", help="in which a proxy names the user")
    made.add_argument("--jwks", metavar="FILE_OR_URL", help="keys of an identity provider")
    made.add_argument("--jwt-issuer", help="who must have issued JWTs")
    made.add_argument("--jwt-audience", help="whom JWTs must be for")
    made.add_argument("--drain", type=float, default=20.0, help="seconds to end in")
    return made


def parse(arguments: argparse.Namespace) -> Options:
    """Returns the options that were read.

    Raises:
        InputError: One of them cannot be.
    """
    refs = (*arguments.refs, *arguments.ref)
    if not refs:
        raise InputError("Got nothing to serve.", hint="workbench serve model:NAME@champion")
    return Options(
        refs=refs,
        name=arguments.name,
        home=arguments.home,
        host=arguments.host,
        port=arguments.port,
        id=arguments.id,
        token=_read_token(arguments.token_file),
        allowed_hosts=tuple(arguments.allow_host),
        is_json=arguments.json,
        is_quiet=arguments.quiet,
        keeps_log=not arguments.no_log,
        traffic=_read_traffic(arguments.traffic or None),
        workers=arguments.workers,
        is_worker=arguments.worker,
        folder=arguments.folder,
        tls=tuple(arguments.tls),
        provider=read_provider(arguments.jwks, arguments.jwt_issuer, arguments.jwt_audience),
        settings=Settings(
            threads=arguments.threads,
            batch=BatchLimits(rows=arguments.max_batch, queue=arguments.max_queue),
            limits=_limits(arguments.max_body, arguments.max_buffered),
            room=_room(arguments),
            drain_s=arguments.drain,
            log=LogLimits(
                part_bytes=round(1e6 * min(_PART_MB, arguments.log_size / 4)),
                total_bytes=round(1e6 * arguments.log_size),
                days=arguments.log_days,
            ),
            patience=Patience(
                max(0.0, arguments.hung_after),
                max(0.0, arguments.run_hung_after),
                arguments.drain + _LEAVE_S,
                arguments.start_within,
            ),
            gateway=read_gateway(
                arguments.root_path, arguments.trusted_proxy, arguments.identity_header
            ),
            keeping=_read_keeping(arguments),
            grpc_port=arguments.grpc_port,
            idle_s=60 * idle_minutes(arguments.idle_stop) or None,
        ),
    )


def _limits(body_bytes: int, buffered_bytes: int | None) -> Limits:
    if buffered_bytes is None:
        buffered_bytes = max(Limits.buffered_bytes, body_bytes)
    if buffered_bytes < body_bytes:
        raise InputError(
            f"Got --max-buffered {buffered_bytes}, in which no body of {body_bytes} bytes fits.",
            hint="Give at least as much as --max-body, or lower that.",
        )
    return Limits(body_bytes=body_bytes, buffered_bytes=buffered_bytes)


def _room(arguments: argparse.Namespace) -> DecodingRoom:
    share = arguments.max_decoding // max(1, arguments.workers)
    return DecodingRoom(limits_for(arguments.max_picture_pixels, share))


def _read_traffic(text: str | None) -> Traffic | None:
    if text is None:
        return None
    try:
        values = json.loads(text) if text.startswith("{") else {"weights": parse_weights(text)}
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"Got a --traffic that is not JSON: {error}.") from error
    return Traffic.parse(values, what="--traffic")


def _read_keeping(arguments: argparse.Namespace) -> Keeping | None:
    share = arguments.keep_payloads
    if not share:
        return None
    return Keeping.parse({"share": share, "redact": arguments.redact}, what="--keep-payloads")


def idle_minutes(given: float | None) -> float:
    """On a JupyterHub others wait for the memory, so there an unused endpoint ends by default."""
    if given is not None:
        return max(0.0, given)
    return _HUB_IDLE_MINUTES if "JUPYTERHUB_SERVICE_PREFIX" in os.environ else 0.0


def _read_token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError(f"The token file {path} cannot be read: {error.strerror}.") from error
