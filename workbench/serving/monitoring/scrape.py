"""Prometheus' own configuration: which endpoints it asks, with which token.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.serving.monitoring.config import MonitorConfig


@dataclass(frozen=True)
class Target:
    """An endpoint as Prometheus finds it.

    Attributes:
        id: Told apart by it in the job's name.
        addresses: HOST:PORT of each process that gives figures of its own.
        address_file: A file in Prometheus' own form that lists them instead, as they change.
        token_file: With a token of the scope "metrics"; relative to the configuration.
        scheme: "http" or "https".
        ca_file: The certificate to trust; None for those of the system.
    """

    id: str
    addresses: tuple[str, ...]
    token_file: str
    scheme: str = "http"
    ca_file: str | None = None
    address_file: str | None = None


def prometheus(targets: Sequence[Target], rule_file: str, config: MonitorConfig) -> dict[str, Any]:
    """Returns the configuration as JSON-able values; a job for each endpoint and its token."""
    return {
        "global": {
            "scrape_interval": config.interval,
            "scrape_timeout": config.interval,
            "evaluation_interval": config.interval,
        },
        "rule_files": [rule_file],
        "scrape_configs": [_job(target, config) for target in targets],
    }


def _job(target: Target, config: MonitorConfig) -> dict[str, Any]:
    job: dict[str, Any] = {
        "job_name": f"{config.job}-{target.id}",
        "scheme": target.scheme,
        "authorization": {"type": "Bearer", "credentials_file": target.token_file},
    }
    if target.address_file is None:
        job["static_configs"] = [{"targets": list(target.addresses)}]
    else:
        job["file_sd_configs"] = [{"files": [target.address_file]}]
    if target.ca_file is not None:
        job["tls_config"] = {"ca_file": target.ca_file}
    return job
