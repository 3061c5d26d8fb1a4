"""Several workers behind one port: real processes, one of them killed."""

import json
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from tests.unit.serving import models
from tests.unit.serving.harness import wait_for
from tests.unit.serving.workers import BODY, ZEROS, start, workers
from workbench.core.host import process_start
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.manager import Manager
from workbench.serving.team import summed
from workbench.serving.tokens import Grant
from workbench.store import open_store


@pytest.fixture(scope="module")
def found(digits_file, tmp_path_factory):
    with workers(digits_file, tmp_path_factory.mktemp("workers")) as made:
        yield made


@pytest.fixture
def fresh(digits_file, tmp_path):
    with workers(digits_file, tmp_path) as made:
        yield made


def test_both_answer_and_their_figures_are_summed(found):
    seen = set()

    def both():
        seen.add(found.health()["answered_by"])
        return len(seen) == 2

    wait_for(both)
    for _ in range(20):
        assert found.ask().status_code == 200
    page = found.request("GET", "/metrics").text
    counted = 'workbench_requests_total{model="digits",version="1",dialect="predict",status="200"}'
    assert f"{counted} 20" in page
    assert 'workbench_workers{state="alive"} 2' in page
    assert page.count("# TYPE workbench_requests_total") == 1


def test_a_killed_worker_is_replaced_while_the_other_answers(found):
    _, other = found.pids()
    found.kill_one()
    assert other in found.pids()
    for _ in range(20):
        assert found.ask().status_code == 200


def sockets(pid):
    """Inodes of a process's sockets."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


def connected(pid, port):
    """How many connections to a port a process holds."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table.splitlines()[1:]]
    is_ours = [row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"]
    return len(sockets(pid) & set(is_ours))


def test_grpc_channels_are_spread_over_the_workers(found):
    address = found.ready["grpc"]
    port = int(address.rpartition(":")[2])
    given = InferInput("input", ZEROS.shape, "FP32")
    given.set_data_from_numpy(ZEROS)
    own = [("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as open_ones:
        clients = [
            open_ones.enter_context(InferenceServerClient(address, channel_args=own))
            for _ in range(16)
        ]
        for client in clients:
            answer = client.infer("digits", [given], headers=found.headers)
            assert answer.as_numpy("output").shape == (1, 10)
        counts = [connected(pid, port) for pid in found.pids()]
        assert sum(counts) == 16
        assert all(counts)
        found.kill_one()
        for client in clients:
            assert client.is_server_ready()
    page = found.request("GET", "/metrics").text
    assert 'dialect="grpc",status="200"}' in page


def test_what_is_managed_at_one_holds_at_both(found):
    manager = Manager(Client(found.ready["url"], found.ready["token"]))
    text = manager.add_token(Grant(name="ci")).text

    def statuses():
        headers = {"authorization": f"Bearer {text}"}
        url = f"{found.ready['url']}/predict"
        asked = [httpx.post(url, json=BODY, headers=headers, trust_env=False) for _ in range(12)]
        return {answer.status_code for answer in asked}

    wait_for(lambda: statuses() == {200})
    found.kill_one()
    assert statuses() == {200}
    manager.revoke_token("ci")
    wait_for(lambda: statuses() == {403})


def test_what_is_loaded_at_one_is_loaded_at_both_when_the_call_returns(found, digits_file):
    models.register(open_store(found.home), "bits", digits_file)
    manager = Manager(Client(found.ready["url"], found.ready["token"]))

    def statuses():
        asked = [found.request("POST", "/predict/bits", json=BODY) for _ in range(16)]
        return {answer.status_code for answer in asked}

    manager.load("bits")
    assert statuses() == {200}
    found.kill_one()
    assert statuses() == {200}
    manager.unload("bits")
    assert statuses() == {404}


def test_all_end_together_and_well(fresh, tmp_path):
    pids = fresh.children()
    assert len(discovery.running(tmp_path / "runtime")) == 1
    fresh.process.send_signal(signal.SIGTERM)
    assert fresh.process.wait(30) == 0
    assert len(pids) >= 2
    assert not any(process_start(pid) for pid in pids)
    assert discovery.running(tmp_path / "runtime") == []


def test_workers_end_when_their_supervisor_is_killed(fresh):
    pids = fresh.children()
    fresh.process.kill()
    fresh.process.wait(30)
    wait_for(lambda: not any(process_start(pid) for pid in pids))


@pytest.mark.full  # by default for every host, in `tests/conformance/test_hosts.py`
def test_why_it_cannot_start_is_told(tmp_path):
    with start(tmp_path / "none.onnx", "--workers", 2, "--json") as process:
        said = json.loads(process.stdout.readline())
        assert process.wait(30) == 1
    assert "none.onnx" in said["error"]["message"]


def test_a_worker_alone_is_told_to_be_started_otherwise(digits_file):
    command = [sys.executable, "-m", "workbench.serving.process", str(digits_file)]
    done = subprocess.run(
        [*command, "--worker"], input="", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "--workers" in done.stderr


def test_pages_are_added_up_line_by_line():
    one = b'# TYPE a counter\na{x="1"} 2\n# TYPE workbench_workers gauge\nworkbench_workers 3\n'
    other = b'# TYPE a counter\na{x="1"} 5\na{x="2"} 1e6\n# TYPE workbench_workers gauge\n'
    assert summed([one, other]).decode().splitlines() == [
        "# TYPE a counter",
        'a{x="1"} 7',
        'a{x="2"} 1000000',
        "# TYPE workbench_workers gauge",
        "workbench_workers 3",
    ]
