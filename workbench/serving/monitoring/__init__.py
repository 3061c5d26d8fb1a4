"""What an operator loads elsewhere: Prometheus' configuration and alerts, Grafana's dashboard.

Made from the names in `metrics` and `service`; as plain values, which `flow.monitoring` writes.
"""

from workbench.serving.monitoring.alerts import rules
from workbench.serving.monitoring.config import MonitorConfig
from workbench.serving.monitoring.dashboard import dashboard
from workbench.serving.monitoring.scrape import Target, prometheus

__all__ = ["MonitorConfig", "Target", "dashboard", "prometheus", "rules"]
