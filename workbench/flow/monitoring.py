"""Writes what Prometheus and Grafana load to watch endpoints: configuration, alerts, dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import InputError, NotFoundError
from workbench.core.files import write_private, writing
from workbench.core.yaml_text import yaml_text
from workbench.flow.endpoint import Endpoint
from workbench.serving.cluster import TARGETS
from workbench.serving.monitoring import MonitorConfig, Target, dashboard, prometheus, rules

_CONFIG, _RULES, _DASHBOARD, _README = "prometheus.yml", "alerts.yml", "dashboard.json", "README.md"
_TOKEN_NAME = "prometheus"
_WHY = "workbench monitor export"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Exported:
    """What was written: the files by name, and the endpoints that are asked."""

    folder: Path
    files: tuple[str, ...]
    targets: tuple[Target, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON-able values; tokens are in files only."""
        asked = {target.id: list(target.addresses) for target in self.targets}
        return {"folder": str(self.folder), "files": list(self.files), "targets": asked}


def export(
    folder: Path,
    endpoints: Sequence[Endpoint] = (),
    *,
    urls: Sequence[str] = (),
    token_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Exported:
    """Writes Prometheus' configuration and alert rules and Grafana's dashboard into a folder.

    Each endpoint gets a token named "prometheus" of its own, which reads figures and predicts
    nothing; its text is in a file that only its owner reads. A second export into the same folder
    keeps it.

    Args:
        folder: Made if it is new; files of the same names are replaced.
        endpoints: Running ones of this machine.
        urls: Further endpoints, as "https://models.example.com:8443".
        token_file: With a token for `urls`.
        options: Fields of `MonitorConfig`.

    Raises:
        NotFoundError: There is nothing to watch.
        InputError: An option or an address is wrong, or the folder cannot be written.
    """
    config = MonitorConfig.parse(options or {}, what="the monitoring")
    if not endpoints and not urls:
        raise NotFoundError(
            "No endpoint is running here, so there is nothing to watch.",
            hint="Start one with `workbench serve REF`, or give --url URL --token-file FILE.",
        )
    outside = [_outside(url, token_file) for url in urls]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        targets = (*(_own(endpoint, folder) for endpoint in endpoints), *outside)
        texts = {
            _CONFIG: yaml_text(prometheus(targets, _RULES, config)),
            _RULES: yaml_text(rules(config)),
            _DASHBOARD: json.dumps(dashboard(config), indent=2, ensure_ascii=False) + "\n",
            _README: _READ_ME,
        }
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    kept = [target.token_file for target in targets if target not in outside]
    certificates = [target.ca_file for target in targets if target.ca_file]
    return Exported(folder, (*texts, *kept, *certificates), targets)


def _own(endpoint: Endpoint, folder: Path) -> Target:
    """Returns a running endpoint as a target, its token and certificate written beside."""
    info, url = endpoint.info, urlsplit(endpoint.url)
    token = folder / f"{info.id}.token"
    if not token.exists():
        if any(grant.name == _TOKEN_NAME for grant in endpoint.tokens()):
            endpoint.revoke_token(_TOKEN_NAME, why=_WHY)
        write_private(token, endpoint.add_token(_TOKEN_NAME, ("metrics",), why=_WHY).text)
    certificate = folder / f"{info.id}.pem" if info.certificate else None
    if certificate is not None:
        certificate.write_text(info.certificate, encoding="utf-8")
    name = None if certificate is None else certificate.name
    replicas = Path(info.home) / "endpoints" / info.id / TARGETS
    listed = str(replicas) if info.home and replicas.is_file() else None
    return Target(info.id, (url.netloc,), token.name, url.scheme, name, listed)


def _outside(text: str, token_file: Path | None) -> Target:
    url = urlsplit(text)
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or url.path.strip("/"):
        raise InputError(
            f"Got the address '{text}'.", hint="As in https://models.example.com:8443."
        )
    if token_file is None or not token_file.is_file():
        raise InputError(
            f"Got the token file {token_file} for {text}; a file with its token would be right.",
            hint="`workbench tokens add ENDPOINT prometheus --scope metrics` prints one.",
        )
    port = url.port or _DEFAULT_PORTS[url.scheme]
    address = url.netloc if url.port else f"{url.netloc}:{port}"
    id_ = f"{url.hostname}-{port}"
    return Target(id_, (address,), str(token_file.absolute()), url.scheme)


_READ_ME = """\
# Watching endpoints

Written by `workbench monitor export`, from the names of the figures that endpoints give.

    promtool check config prometheus.yml
    prometheus --config.file=prometheus.yml

Grafana: *Dashboards → New → Import*, `dashboard.json`; it asks which Prometheus to read.

- `prometheus.yml`: which endpoints are asked, each with a token of its own that reads figures and
  predicts nothing (scope `metrics`).
- `alerts.yml`: down, not ready, gone, errors, slow, queue near its limit, memory grows, workers
  lost, log lines lost, a version taken back by its budget, a new version refused.
- `*.token`: for Prometheus only, mode 0600: `chown prometheus` it, or run Prometheus as yourself.
  `workbench tokens revoke ENDPOINT prometheus` shuts it out.
"""
