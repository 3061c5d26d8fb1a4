"""Prometheus' alert rules for endpoints.

Source: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.serving.monitoring import signals
from workbench.serving.monitoring.config import MonitorConfig

_MODEL = "{{ $labels.model }} version {{ $labels.version }}"
_AT = "at {{ $labels.instance }}"


@dataclass(frozen=True)
class _Alert:
    """One rule: when, for how long, how bad, what to say and what to do."""

    name: str
    expr: str
    hold: str
    severity: str
    summary: str
    todo: str

    def to_json(self) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.todo},
        }


def rules(config: MonitorConfig) -> dict[str, Any]:
    """Returns the rule file as JSON-able values."""
    alerts = [*_presence(config), *_answers(config), *_load(config), *_events(config)]
    return {"groups": [{"name": "workbench", "rules": [alert.to_json() for alert in alerts]}]}


def _presence(config: MonitorConfig) -> list[_Alert]:
    job = f'job=~"{config.job}.*"'
    return [
        _Alert(
            "WorkbenchEndpointDown",
            f"up{{{job}}} == 0",
            config.hold,
            "critical",
            f"The endpoint {_AT} does not answer",
            "`workbench ps` tells whether it runs; its log is endpoints/ID/log in the workspace. A "
            "401 or 403 in Prometheus' target list means that its token was revoked.",
        ),
        _Alert(
            "WorkbenchNoEndpoint",
            f"absent(up{{{job}}})",
            config.hold,
            "critical",
            "Prometheus knows no endpoint",
            "Repeat `workbench monitor export` and reload Prometheus.",
        ),
        _Alert(
            "WorkbenchModelNotReady",
            "workbench_ready == 0",
            config.hold,
            "critical",
            f"{_MODEL} {_AT} is not ready",
            "The endpoint is draining, or a load did not end. See its log.",
        ),
        _Alert(
            "WorkbenchModelGone",
            signals.gone(config.window),
            "0s",
            "critical",
            f"{{{{ $labels.model }}}} {_AT} is no longer served",
            "Somebody unloaded it, or the endpoint was started with other models.",
        ),
        _Alert(
            "WorkbenchWorkersLost",
            f"{signals.lost_workers()} > 0",
            config.hold,
            "warning",
            f"{{{{ $value }}}} workers {_AT} are missing",
            "A killed worker comes back within a second; these do not. See the endpoint's log.",
        ),
    ]


def _answers(config: MonitorConfig) -> list[_Alert]:
    window = config.window
    asked = f"sum by ({signals.VERSION}) (increase(workbench_request_seconds_count[{window}]))"
    enough = f"and {asked} >= {config.min_requests:g}"
    return [
        _Alert(
            "WorkbenchErrors",
            f"{signals.error_share(window)} > {config.error_share:g} {enough}",
            config.hold,
            "critical",
            f"{{{{ $value | humanizePercentage }}}} of the answers of {_MODEL} {_AT} are errors",
            "The request log names their codes; `workbench rollback` takes the alias back.",
        ),
        _Alert(
            "WorkbenchSlow",
            f"{signals.latency(0.99, window)} > {config.latency_ms / 1e3:g} {enough}",
            config.hold,
            "warning",
            f"1 of 100 answers of {_MODEL} {_AT} takes {{{{ $value | humanizeDuration }}}} or more",
            "The dashboard's stages tell whether it waits (more workers help) or computes.",
        ),
    ]


def _load(config: MonitorConfig) -> list[_Alert]:
    memory = signals.of("process_resident_memory_bytes", f'job=~"{config.job}.*"')
    least = f"min_over_time({memory}[{config.window}])"
    before = f"min_over_time({memory}[{config.window}] offset {config.memory_over})"
    return [
        _Alert(
            "WorkbenchQueueNearLimit",
            f"{signals.queue_share()} > {config.queue_share:g}",
            config.hold,
            "warning",
            f"The queue of {_MODEL} {_AT} is {{{{ $value | humanizePercentage }}}} full",
            "Beyond its limit callers get 503 with Retry-After. Add workers, or limit a token.",
        ),
        _Alert(
            "WorkbenchMemoryGrows",
            f"{least} / {before} > {1 + config.memory_growth:g}",
            config.hold,
            "warning",
            f"The endpoint {_AT} takes {{{{ $value | humanize }}}} times the memory of "
            f"{config.memory_over} ago",
            "More models explain it; without any it is a leak: restart it, and report it.",
        ),
        _Alert(
            "WorkbenchLogLost",
            f"delta(workbench_log_lines_lost[{config.window}]) > 0",
            "0s",
            "warning",
            f"Lines of the log of {{{{ $labels.log }}}} {_AT} were lost",
            "The disk is full, read-only or too slow. No request fails for it.",
        ),
    ]


def _events(config: MonitorConfig) -> list[_Alert]:
    refused = 'workbench_swaps_total{outcome="refused"}'
    return [
        _Alert(
            "WorkbenchTakenBack",
            signals.happened("workbench_taken_back_total", config.window),
            "0s",
            "warning",
            f"{_MODEL} {_AT} broke its budget and was taken back",
            "`workbench traffic MODEL` gives the reason; it is in the audit log, too.",
        ),
        _Alert(
            "WorkbenchVersionRefused",
            signals.happened(refused, config.window),
            "0s",
            "warning",
            f"A new version of {{{{ $labels.model }}}} {_AT} was refused; the one before stays",
            "GET /v2/health/ready gives the reason under `following`.",
        ),
    ]
