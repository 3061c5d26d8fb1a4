"""The alerts and every panel's queries in a real Prometheus (apt install prometheus)."""

import json
import math
import os
import shutil
import socket
import subprocess
import threading
from contextlib import closing, contextmanager

import httpx
import numpy as np
import pytest
import yaml

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from tests.unit.serving.test_monitoring import ALERTS, held
from workbench.flow import monitoring
from workbench.serving.client import Client
from workbench.serving.manager import Manager
from workbench.serving.monitoring import MonitorConfig, dashboard, rules
from workbench.serving.monitoring.dashboard import expressions
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.traffic import Traffic
from workbench.store import open_store

pytestmark = pytest.mark.full
NAME = "digits"
BODY = {"inputs": np.zeros((1, 1, 8, 8)).tolist()}
QUICK = {
    **{"interval": "200ms", "window": "3s", "hold": "200ms", "memory_over": "1s"},
    **{"min_requests": 5, "latency_ms": 9_000},
}


def program(name):
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail("CI must have prometheus.")
    if found is None:
        pytest.skip("needs prometheus (apt install prometheus)")
    return found


def promtool(*words, cwd):
    done = subprocess.run(
        [program("promtool"), *words], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# made-up series -------------------------------------------------------------------------------

AT = 'job="workbench-a",instance="a:1"'
OF = f'{AT},model="m",version="1"'
HEALTHY = {
    f"up{{{AT}}}": "1x480",
    f"workbench_ready{{{OF}}}": "1x480",
    f'workbench_workers{{{AT},state="wanted"}}': "2x480",
    f'workbench_workers{{{AT},state="alive"}}': "2x480",
    f'workbench_limit{{{AT},what="queue"}}': "512x480",
    f"workbench_queue{{{OF}}}": "400x480",  # of 2 × 512
    f"process_resident_memory_bytes{{{AT}}}": "100e6+100e3x480",  # by a third in six hours
    f'workbench_log_lines_lost{{{AT},log="requests"}}': "7x480",
    f"workbench_request_seconds_count{{{OF}}}": "0+600x480",
    f'workbench_request_seconds_bucket{{{OF},le="0.01"}}': "0+590x480",
    f'workbench_request_seconds_bucket{{{OF},le="0.2"}}': "0+600x480",
    f'workbench_request_seconds_bucket{{{OF},le="0.5"}}': "0+600x480",
    f'workbench_request_seconds_bucket{{{OF},le="+Inf"}}': "0+600x480",
    f"workbench_failures_total{{{OF}}}": "0+3x480",
    f"workbench_taken_back_total{{{OF}}}": "1x480",  # hours ago
    f'workbench_swaps_total{{{AT},model="m",outcome="switched"}}': "0+1x480",
}
SCENES = {
    "healthy": ({}, set()),
    "down": ({"up": "1x410 0x70"}, {"WorkbenchEndpointDown"}),
    "none": (dict.fromkeys(["up", "workbench", "process"], "_x480"), {"WorkbenchNoEndpoint"}),
    "draining": ({"workbench_ready": "1x410 0x70"}, {"WorkbenchModelNotReady"}),
    "unloaded": ({"workbench_ready": "1x417 stale"}, {"WorkbenchModelGone"}),
    "a worker": ({'state="alive"': "2x410 1x70"}, {"WorkbenchWorkersLost"}),
    "errors": ({"workbench_failures": "0+12x480"}, {"WorkbenchErrors"}),
    "one error of three": (
        {"workbench_failures": "0+1x480", "workbench_request_seconds_count": "0+3x480"},
        set(),
    ),
    "slow": ({'le="0.2"': "0+590x480"}, {"WorkbenchSlow"}),
    "queue": ({"workbench_queue": "900x480"}, {"WorkbenchQueueNearLimit"}),
    "leak": ({"process_resident": "100e6+200e3x480"}, {"WorkbenchMemoryGrows"}),
    "disk full": ({"workbench_log_lines": "7x415 9x70"}, {"WorkbenchLogLost"}),
    "first take-back": ({"workbench_taken_back": "_x416 1x70"}, {"WorkbenchTakenBack"}),
    "second take-back": ({"workbench_taken_back": "1x416 2x70"}, {"WorkbenchTakenBack"}),
    "refused": (
        {f'workbench_swaps_total{{{AT},model="m",outcome="refused"}}': "_x416 1x70"},
        {"WorkbenchVersionRefused"},
    ),
}


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    fired = set().union(*(names for _, names in SCENES.values()))
    assert fired == {alert["alert"] for alert in ALERTS}
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules(MonitorConfig())))
    tests = [_scene(changes, names) for changes, names in SCENES.values()]
    page = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(page))
    promtool("test", "rules", "tests.yml", cwd=tmp_path)


def _scene(changes, names):
    series = dict(HEALTHY)
    for part, values in changes.items():
        hit = [key for key in series if part in key]
        series.update(dict.fromkeys(hit or [part], values))
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": value} for key, value in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "7h",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in names
                ],
            }
        ],
    }


# the real thing -------------------------------------------------------------------------------


class Prometheus:
    """A server of its own, asked over its HTTP API."""

    def __init__(self, port):
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def is_ready(self):
        try:
            return self.http.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def query(self, expr):
        """Returns the numbers that an expression gives now; fails if it cannot be evaluated."""
        said = self.http.get("/api/v1/query", params={"query": expr}).json()
        assert said["status"] == "success", (expr, said)
        return [float(row["value"][1]) for row in said["data"]["result"]]

    def rules(self):
        (group,) = self.http.get("/api/v1/rules").json()["data"]["groups"]
        return group["rules"]

    def firing(self):
        return {rule["name"] for rule in self.rules() if rule["state"] == "firing"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def prometheus(folder, data):
    port = free_port()
    command = [program("prometheus"), "--config.file=prometheus.yml", "--log.level=error"]
    command += [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={data}"]
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        found = Prometheus(port)
        wait_for(found.is_ready)
        yield found
        found.http.close()
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """1 as trained, 2 always says the first label, 3 answers every request with an error."""
    folder = tmp_path_factory.mktemp("watched")
    store = open_store(folder / ".workbench")
    for shift in (0.0, 1000.0, math.inf):
        models.register(store, NAME, models.save_digits(folder / f"{shift}.onnx", shift=shift))
    store.models.promote(NAME, 1)
    return store


@pytest.fixture(scope="module")
def watched(registry):
    folder = registry.home.root.parent
    with running(
        loaded=[load_source(find_source(f"model:{NAME}@champion", registry))],
        settings=Settings(poll_s=0.01),
        registry=StoreRegistry(registry),
        folder=folder,
        log_folder=folder / "requests",
    ) as found:
        monitoring.export(folder / "watch", [held(found)], options=QUICK)
        yield found


@contextmanager
def asked(found):
    """Asks all the time."""
    stop = threading.Event()

    def ask():
        while not stop.wait(0.03):
            found.http.post(f"/predict/{NAME}", json=BODY)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_promtool_takes_what_is_exported(watched, registry):
    folder = registry.home.root.parent / "watch"
    promtool("check", "config", "prometheus.yml", cwd=folder)
    said = promtool("check", "rules", "alerts.yml", cwd=folder)
    assert f"{len(ALERTS)} rules found" in said


def test_a_prometheus_asks_evaluates_everything_and_tells_of_errors(watched, registry, tmp_path):
    folder = registry.home.root.parent / "watch"
    client = Client(watched.url, watched.token, NAME)
    manager = Manager(client)
    with closing(client), prometheus(folder, tmp_path / "data") as seen, asked(watched):
        soon(lambda: seen.query('sum(up{job="workbench-here"})') == [1.0])
        soon(lambda: all(rule["lastEvaluation"] > "1" for rule in seen.rules()))
        soon(lambda: seen.query("sum(rate(workbench_request_seconds_count[3s]))") > [1.0])
        assert [rule["name"] for rule in seen.rules() if rule["health"] != "ok"] == []
        soon(lambda: seen.firing() <= {"WorkbenchMemoryGrows"})  # warming up, in seconds

        registry.models.promote(NAME, 2)
        soon(lambda: seen.query(f'workbench_ready{{model="{NAME}",version="2"}}'))
        registry.models.rollback(NAME)
        soon(lambda: [row.version for row in manager.traffic().versions] == ["1"])
        manager.set_traffic(
            Traffic(
                weights={"champion": 50, "3": 50},
                shadow="2",
                budget={"errors": 0.1, "requests": 10},
            )
        )
        soon(lambda: manager.traffic().taken_back is not None)
        soon(lambda: "WorkbenchTakenBack" in seen.firing())
        for expr in expressions(dashboard(MonitorConfig())):
            text = filled_in(expr)
            numbers = soon(lambda text=text: seen.query(text), what=text)
            assert not all(math.isnan(number) for number in numbers), text

        soon(lambda: "WorkbenchErrors" not in seen.firing())
        manager.set_traffic(Traffic(weights={"champion": 50, "3": 50}))
        soon(lambda: "WorkbenchErrors" in seen.firing())
        (alert,) = (rule for rule in seen.rules() if rule["name"] == "WorkbenchErrors")
        (fact,) = (item for item in alert["alerts"] if item["state"] == "firing")
        assert (fact["labels"]["model"], fact["labels"]["version"]) == (NAME, "3")
        assert (
            "100% of the answers of digits version 3 at 127.0.0.1:"
            in (fact["annotations"]["summary"])
        )
        manager.set_traffic(None)
        soon(lambda: "WorkbenchErrors" not in seen.firing())
        assert [rule["lastError"] for rule in seen.rules() if rule.get("lastError")] == []
        assert watched.token not in json.dumps(seen.rules())


def soon(condition, what=""):
    """Waits, as `wait_for`, but looks seldom enough to leave the other processes their time."""
    try:
        return wait_for(lambda: threading.Event().wait(0.1) or condition(), 30)
    except TimeoutError:
        pytest.fail(f"never held: {what}")


def filled_in(expr):
    """Puts what Grafana would into an expression."""
    values = {"$__rate_interval": "3s", "$instance": ".*", "$model": ".*"}
    for name, value in values.items():
        expr = expr.replace(name, value)
    return expr
