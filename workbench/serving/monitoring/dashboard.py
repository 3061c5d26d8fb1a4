"""Grafana's dashboard of endpoints.

Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workbench.serving.monitoring import signals
from workbench.serving.monitoring.config import MonitorConfig

_COLUMNS = 24
_SCHEMA = 39
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WINDOW = "$__rate_interval"
_INSTANCE = 'instance=~"$instance"'
_MODEL = f'{_INSTANCE},model=~"$model"'
_OF_VERSION = "{{model}}@{{version}}"


@dataclass(frozen=True)
class _Panel:
    """One picture: its queries by their legend.

    `unit` is Grafana's name; `limit` draws a line, red above it, or below it if `wants_more`.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str
    about: str
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    limit: float | None = None
    wants_more: bool = False


def dashboard(config: MonitorConfig) -> dict[str, Any]:
    """Returns the dashboard as JSON-able values; it asks for the data source when it is loaded."""
    rows = (
        ("Now", _now(config)),
        ("Requests", _requests()),
        ("Latency", _latency(config)),
        ("Load", _load(config)),
        ("Versions", _versions()),
    )
    return {
        "uid": "workbench-endpoints",
        "title": "Workbench endpoints",
        "tags": ["workbench"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": _laid_out(rows),
    }


def expressions(made: dict[str, Any]) -> list[str]:
    """Returns every query of a dashboard, as Grafana sends it but for its variables."""
    return [target["expr"] for panel in made["panels"] for target in panel.get("targets", ())]


def _now(config: MonitorConfig) -> list[_Panel]:
    def stat(
        title: str, expr: str, unit: str, about: str, limit: float | None, *, more: bool = False
    ) -> _Panel:
        return _Panel(title, (("", expr),), unit, about, "stat", 4, 4, limit, more)

    by = "job"
    return [
        stat(
            "Ready",
            f"min({signals.of('workbench_ready', _MODEL)})",
            "bool_yes_no",
            "Every model answers",
            1,
            more=True,
        ),
        stat("Requests", f"sum({signals.requests(_WINDOW, _MODEL)})", "reqps", "Answered", None),
        stat(
            "Errors",
            f"max({signals.error_share(_WINDOW, _MODEL, by)})",
            "percentunit",
            "Share of answers that were the endpoint's own errors",
            config.error_share,
        ),
        stat(
            "p99",
            f"max({signals.latency(0.99, _WINDOW, _MODEL, by)})",
            "s",
            "99 of 100 answers are faster",
            config.latency_ms / 1e3,
        ),
        stat(
            "Queue",
            f"max({signals.queue_share(_MODEL, _INSTANCE)})",
            "percentunit",
            "Share of the limit, of the fullest queue",
            config.queue_share,
        ),
        stat(
            "Workers missing",
            f"sum({signals.lost_workers(_INSTANCE)})",
            "none",
            "Processes that should answer and do not",
            1,
        ),
    ]


def _requests() -> list[_Panel]:
    statuses = signals.rate("workbench_requests_total", _WINDOW, _INSTANCE)
    codes = signals.rate("workbench_errors_total", _WINDOW, _MODEL)
    keys = signals.rate("workbench_key_requests_total", _WINDOW, _INSTANCE)
    by_version = signals.requests(_WINDOW, _MODEL, "model, version")
    return [
        _Panel("By version", ((_OF_VERSION, by_version),), "reqps", "Requests that reached it"),
        _Panel(
            "By dialect and status",
            (("{{dialect}} {{status}}", f"sum by (dialect, status) ({statuses})"),),
            "reqps",
            "Also those that reached no model",
        ),
        _Panel(
            "By token",
            (("{{key}} {{status}}", f"sum by (key, status) ({keys})"),),
            "reqps",
            "Names of tokens, as in `workbench tokens list`",
        ),
        _Panel(
            "Error share",
            ((_OF_VERSION, signals.error_share(_WINDOW, _MODEL, "model, version")),),
            "percentunit",
            "The endpoint's own errors: 5xx but for 504",
            width=12,
        ),
        _Panel(
            "Errors by code",
            (("{{model}}@{{version}} {{code}}", f"sum by (model, version, code) ({codes})"),),
            "reqps",
            "Also callers' mistakes",
            width=12,
        ),
    ]


def _latency(config: MonitorConfig) -> list[_Panel]:
    by = "model, version"
    quantiles = tuple(
        (f"{_OF_VERSION} p{100 * q:g}", signals.latency(q, _WINDOW, _MODEL, by))
        for q in (0.5, 0.9, 0.99)
    )
    stages = tuple(
        (f"{{{{model}}}} {stage}", signals.stage_seconds(stage, _WINDOW, _MODEL))
        for stage in signals.STAGES
    )
    return [
        _Panel(
            "From request to answer",
            quantiles,
            "s",
            "Interpolated between the histogram's bounds",
            width=12,
            limit=config.latency_ms / 1e3,
        ),
        _Panel("Where the time goes", stages, "s", "Mean of each stage", width=12),
    ]


def _load(config: MonitorConfig) -> list[_Panel]:
    cpu = signals.rate("process_cpu_seconds_total", _WINDOW, _INSTANCE, f'job=~"{config.job}.*"')
    memory = signals.of("process_resident_memory_bytes", _INSTANCE, f'job=~"{config.job}.*"')
    return [
        _Panel(
            "Queue",
            ((_OF_VERSION, signals.queue_share(_MODEL, _INSTANCE)),),
            "percentunit",
            "Share of the limit; beyond it callers get 503",
            limit=config.queue_share,
        ),
        _Panel(
            "In flight",
            (
                (_OF_VERSION, signals.of("workbench_in_flight", _MODEL)),
                ("connections {{instance}}", signals.of("workbench_connections", _INSTANCE)),
            ),
            "short",
            "Taken and not yet answered, and open connections",
        ),
        _Panel(
            "Rows in one run",
            ((_OF_VERSION, signals.batch_rows(_WINDOW, _MODEL)),),
            "short",
            "Mean of what the micro-batcher puts together",
        ),
        _Panel("Memory", (("{{instance}}", memory),), "bytes", "Of all workers"),
        _Panel("CPU", (("{{instance}}", cpu),), "short", "Cores in use"),
        _Panel(
            "Workers and logs",
            (
                ("restarts {{instance}}", signals.of("workbench_worker_restarts_total", _INSTANCE)),
                (
                    "lost lines, {{log}} {{instance}}",
                    signals.of("workbench_log_lines_lost", _INSTANCE),
                ),
            ),
            "short",
            "Since the start",
        ),
    ]


def _versions() -> list[_Panel]:
    outcomes = signals.rate("workbench_shadow_total", _WINDOW, _MODEL)
    return [
        _Panel(
            "Share of the traffic",
            ((_OF_VERSION, signals.of("workbench_traffic_share", _MODEL)),),
            "percentunit",
            "Of requests that name no version; empty without a split",
        ),
        _Panel(
            "Changes",
            (
                ("{{model}} {{outcome}}", signals.of("workbench_swaps_total", _MODEL)),
                (
                    "taken back {{model}}@{{version}}",
                    signals.of("workbench_taken_back_total", _MODEL),
                ),
            ),
            "short",
            "Moves of followed aliases, and versions that broke their budget",
        ),
        _Panel(
            "Shadow",
            (
                (
                    "{{model}}@{{shadow}} {{outcome}}",
                    f"sum by (model, shadow, outcome) ({outcomes})",
                ),
                (
                    "largest difference {{model}}@{{shadow}}",
                    signals.of("workbench_shadow_max_difference", _MODEL),
                ),
            ),
            "short",
            "Copies a second by outcome, and how far answers were apart",
        ),
    ]


def _variables() -> list[dict[str, Any]]:
    def choice(name: str, label: str, query: str) -> dict[str, Any]:
        return {
            "name": name,
            "label": label,
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }

    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
    }
    models = 'label_values(workbench_ready{instance=~"$instance"}, model)'
    return [
        source,
        choice("instance", "Endpoint", "label_values(workbench_ready, instance)"),
        choice("model", "Model", models),
    ]


def _laid_out(rows: Sequence[tuple[str, Sequence[_Panel]]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    x = y = height = 0
    for title, panels in rows:
        x, y = 0, y + height
        place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        row = {"id": len(made) + 1, "type": "row", "title": title, "gridPos": place}
        made.append({**row, "collapsed": False, "panels": []})
        y, height = y + 1, 0
        for panel in panels:
            if x + panel.width > _COLUMNS:
                x, y, height = 0, y + height, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            made.append({"id": len(made) + 1, "gridPos": place, **_drawn(panel)})
            x, height = x + panel.width, max(height, panel.height)
    return made


def _drawn(panel: _Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.limit is not None:
        low, high = ("red", "green") if panel.wants_more else ("green", "red")
        steps = [{"color": low, "value": None}, {"color": high, "value": panel.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if panel.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": expr,
                "legendFormat": legend or "__auto",
                "datasource": _SOURCE,
            }
            for place, (legend, expr) in enumerate(panel.queries)
        ],
    }
