"""Replicas on a Ray cluster of two nodes, of which one is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from tests.unit.serving import models
from tests.unit.serving.harness import wait_for
from workbench.core.errors import MissingDependencyError, NotFoundError
from workbench.core.optional import is_installed
from workbench.flow import monitoring
from workbench.flow.endpoint import Endpoint
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.cluster import TARGETS
from workbench.serving.errors import StartError
from workbench.serving.host import Order
from workbench.serving.hosts import HOSTS
from workbench.serving.manager import Manager
from workbench.serving.traffic import Traffic
from workbench.store import open_store

REF = "model:digits@champion"
ROOT = Path(__file__).parents[3]
BODY = {"inputs": np.zeros((1, 1, 8, 8)).tolist()}
HOST = HOSTS.get("ray")
needs_ray = pytest.mark.skipif(
    not is_installed("ray"), reason="needs Ray (pip install 'maas-workbench[scale]')"
)


@pytest.mark.skipif(is_installed("ray"), reason="Ray is installed")
def test_without_ray_it_says_how_to_get_it(store):
    with pytest.raises(MissingDependencyError) as caught:
        HOST.start(Order((REF,), store.home.root))
    assert "maas-workbench[scale]" in str(caught.value)
    assert "scale" in str(HOSTS.info("ray").reason)


class Nodes:
    """The cluster; see `ray_cluster`."""

    def __init__(self, log):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.serving.ray_cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        )
        self.address = self._said()["address"]

    def tell(self, word):
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self._said()

    def _said(self):
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError("the cluster ended")

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with (tmp_path_factory.mktemp("ray") / "log").open("wb") as log:
        made = Nodes(log)
        yield made
        made.close()


class Spread:
    """An endpoint with two replicas, seen from its front and from each replica."""

    def __init__(self, info, store):
        self.info, self.store = info, store
        self.headers = {"authorization": f"Bearer {info.token}"}
        self.folder = store.home.root / "endpoints" / info.id

    def replicas(self):
        rows = json.loads((self.folder / TARGETS).read_text())
        return {
            row["labels"]["replica"]: (row["targets"][0], row["labels"]["node"]) for row in rows
        }

    def ask(self):
        """Asks on a connection of its own."""
        url = f"{self.info.url}/predict"
        return httpx.post(url, json=BODY, headers=self.headers, trust_env=False).status_code

    def ask_through(self, count):
        """Asks one after the other; the one that is under way on a lost replica may be lost."""
        statuses = []
        for _ in range(count):
            try:
                statuses.append(self.ask())
            except httpx.RemoteProtocolError:
                statuses.append(None)
        return statuses

    def each(self, path):
        """What each replica answers to a question, asked past the front."""
        return [
            httpx.get(f"http://{address}{path}", headers=self.headers, trust_env=False)
            for address, _ in self.replicas().values()
        ]

    def versions(self):
        return [found.json()["versions"] for found in self.each("/v2/models/digits")]

    def pids(self):
        """The replicas' processes on this machine."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"workbench.serving.replica" in words and str(self.folder).encode() in words:
                found.append(int(path.parent.name))
        return found


def soon(condition):
    return wait_for(lambda: threading.Event().wait(0.2) or condition(), 120)


@pytest.fixture
def spread(nodes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    store = open_store(tmp_path / "home")
    for shift in (0.0, 1000.0):
        models.register(
            store, "digits", models.save_digits(tmp_path / f"{shift}.onnx", shift=shift)
        )
    store.models.promote("digits", 1)
    config = {"replicas": 2, "address": nodes.address}
    info = HOST.start(Order((REF,), store.home.root, id="spread", config=config))
    made = Spread(info, store)
    yield made
    HOST.stop(info)
    assert not discovery.is_alive(info)
    soon(lambda: not made.pids())


@needs_ray
@pytest.mark.full
def test_it_goes_on_when_a_process_or_a_node_is_killed(spread, nodes):
    before = spread.replicas()
    assert len({node for _, node in before.values()}) == 2
    assert [spread.ask() for _ in range(20)] == [200] * 20
    for page in spread.each("/metrics"):
        assert 'workbench_requests_total{model="digits"' in page.text  # both had their share

    os.kill(spread.pids()[0], signal.SIGKILL)
    statuses = spread.ask_through(30)
    assert (set(statuses) <= {200, None}, statuses.count(None) <= 1) == (True, True), statuses
    soon(lambda: len(spread.replicas()) == 2 and spread.replicas() != before)

    nodes.tell("kill")
    statuses = spread.ask_through(30)
    assert (set(statuses) <= {200, None}, statuses.count(None) <= 1) == (True, True), statuses
    soon(lambda: len({node for _, node in spread.replicas().values()}) == 1)
    soon(lambda: len(spread.replicas()) == 2)
    assert [spread.ask() for _ in range(20)] == [200] * 20
    nodes.tell("add")


@needs_ray
@pytest.mark.full
def test_rollback_traffic_and_figures_are_of_all_replicas(spread, tmp_path):
    assert spread.versions() == [["1"], ["1"]]
    spread.store.models.promote("digits", 2)
    soon(lambda: spread.versions() == [["2"], ["2"]])
    spread.store.models.rollback("digits")
    soon(lambda: spread.versions() == [["1"], ["1"]])

    client = Client(spread.info.url, spread.info.token)
    Manager(client).set_traffic(Traffic(weights={"1": 50, "2": 50}))
    client.close()

    def shares():
        found = [each.json()["versions"] for each in spread.each("/manage/traffic/digits")]
        return [sorted(row["share"] for row in rows) for rows in found]

    soon(lambda: shares() == [[0.5, 0.5], [0.5, 0.5]])

    monitoring.export(tmp_path / "watch", [Endpoint(spread.info)])
    (job,) = yaml.safe_load((tmp_path / "watch" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": [str(spread.folder / TARGETS)]}]


@needs_ray
@pytest.mark.full
def test_a_replicas_own_reason_is_told(nodes, store, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(NotFoundError, match="No model 'digits'"):
        HOST.start(Order((REF,), store.home.root, config={"address": nodes.address}))
    assert discovery.running() == []


@needs_ray
@pytest.mark.full
def test_without_a_cluster_it_says_how_to_start_one(store, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(StartError, match="There is no Ray cluster") as caught:
        HOST.start(Order((REF,), store.home.root, config={"address": "127.0.0.1:1"}))
    assert "ray start --head" in str(caught.value)
