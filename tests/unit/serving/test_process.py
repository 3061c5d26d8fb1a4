"""The real process: started, asked, stopped."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading

import httpx
import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import wait_for
from workbench.core.errors import IntegrityError, NotFoundError
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.host import Order
from workbench.serving.hosts import HOSTS
from workbench.serving.options import idle_minutes

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "pandas", "jupyter_core", "IPython", "ipywidgets"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
from workbench.serving.process import main
code = main(sys.argv[1:])
sys.exit(code)
"""


def start(*arguments, code=None):
    command = ["-c", code] if code else ["-m", "workbench.serving.process"]
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def served(digits_file):
    """A process that serves a bare file, and its ready line."""
    with start(digits_file, "--json", "--name", "ziffern") as process:
        ready = json.loads(process.stdout.readline())
        yield process, ready
        process.kill()


def test_the_ready_line_is_enough_to_call_it(served):
    _, ready = served
    assert ready["models"] == ["ziffern"]
    client = Client(ready["url"], ready["token"])
    assert client.is_ready()
    _, test, _, _ = models.digits()
    assert len(client.predict(test[:3].reshape(3, 1, 8, 8))) == 3
    client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_what_it_owes_and_ends_well(served, number):
    process, ready = served
    (path,) = discovery.runtime_folder().glob("workbench-endpoint-*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert discovery.running()[0].token == ready["token"]
    stop, statuses = threading.Event(), []

    def ask():
        client = Client(ready["url"], ready["token"])
        zeros = np.zeros((50, 1, 8, 8), np.float32)
        while not stop.is_set():
            try:
                statuses.append(len(client.predict(zeros)))
            except Exception as error:  # noqa: BLE001 (looked at below)
                statuses.append(error)
                return
        client.close()

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: len(statuses) > 3)
    process.send_signal(number)
    assert process.wait(20) == 0
    thread.join(20)
    stop.set()
    assert all(found == 50 for found in statuses[:-1])
    assert getattr(statuses[-1], "code", None) == "endpoint_gone"  # no connection, not an error 500
    assert not path.exists()
    assert discovery.running() == []


def test_it_serves_a_registered_version_without_torch_pandas_or_jupyter(store, digits_file):
    models.register(store, "digits", digits_file)
    store.models.promote("digits", 1)
    with start("model:digits@champion", "--home", store.home.root, "--json", code=BLOCKED) as found:
        ready = json.loads(found.stdout.readline())
        client = Client(ready["url"], ready["token"])
        _, test, _, _ = models.digits()
        assert client.predict(test[0])[0].label in models.LABELS
        client.close()
        found.terminate()
        assert found.wait(20) == 0


def test_a_failed_start_says_why_in_the_error_grammar(tmp_path):
    with start(tmp_path / "none.onnx", "--json") as process:
        error = json.loads(process.stdout.readline())["error"]
        assert process.wait(20) == 1
    assert error["code"] == "not_found"
    with start("model:none@champion") as process:
        assert "No model 'none'" in process.stderr.read()
        assert process.wait(20) == 1


def test_a_taken_port_is_told(served, digits_file):
    port = served[1]["url"].rpartition(":")[2]
    with start(digits_file, "--json", "--port", port) as process:
        error = json.loads(process.stdout.readline())["error"]
        process.wait(20)
    assert "cannot be listened on" in error["message"]


def test_without_json_the_token_is_not_printed(digits_file):
    with start(digits_file) as process:
        said = process.stdout.readline() + process.stdout.readline()
        (info,) = discovery.running()
        assert info.url in said
        assert info.token not in said
        process.terminate()
        rest = process.stdout.read() + process.stderr.read()
    assert info.token not in rest


def test_a_token_from_a_file_is_used(digits_file, tmp_path):
    path = tmp_path / "token"
    path.write_text("my-own-long-token-of-mine\n")
    with start(digits_file, "--json", "--token-file", path) as process:
        ready = json.loads(process.stdout.readline())
        assert ready["token"] == "my-own-long-token-of-mine"
        process.kill()


@pytest.fixture
def local():
    host = HOSTS.get("local")
    started = []
    yield lambda order: started.append(host.start(order)) or started[-1]
    for info in started:
        host.stop(info)


def test_an_endpoint_is_started_found_again_and_stopped(local, store, digits_file):
    models.register(store, "digits", digits_file)
    store.models.promote("digits", 1)
    info = local(Order(("model:digits",), store.home.root))
    assert [item.id for item in discovery.running(home=store.home.root)] == [info.id]
    assert os.getsid(info.pid) != os.getsid(0)
    client = Client(info.url, info.token)
    assert client.about()["alias"] == "champion"
    client.close()
    assert info.token not in (store.home.root / "endpoints" / info.id / "stdout").read_text()
    assert info.token not in repr(info)
    HOSTS.get("local").stop(info)
    assert discovery.running() == []
    HOSTS.get("local").stop(info)  # again: nothing to do


@pytest.mark.full  # by default for every host, in `tests/conformance/test_hosts.py`
def test_the_caller_gets_the_endpoints_own_reason(local, store, digits_file):
    with pytest.raises(NotFoundError, match="No model 'none'"):
        local(Order(("model:none",), store.home.root))
    models.register(store, "digits", digits_file)
    blob = store.models.get("digits", 1).files["model.onnx"]
    path = store.blobs.path(blob)
    path.chmod(0o644)
    path.write_bytes(b"other")
    with pytest.raises(IntegrityError, match="was changed"):
        local(Order(("model:digits@1",), store.home.root))


def test_a_killed_endpoint_is_no_longer_listed(local, store, digits_file):
    info = local(Order((str(digits_file),), store.home.root))
    os.kill(info.pid, signal.SIGKILL)
    wait_for(lambda: discovery.running() == [])
    assert list(discovery.runtime_folder().glob("workbench-endpoint-*")) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(info.url, trust_env=False)


def test_it_ends_when_nobody_asks(digits_file):
    with start(digits_file, "--json", "--idle-stop", "0.01") as process:
        ready = json.loads(process.stdout.readline())
        client = Client(ready["url"], ready["token"])
        assert client.predict(np.zeros((1, 1, 8, 8), np.float32))
        assert client.is_ready()  # looking is not asking
        client.close()
        assert process.wait(20) == 0
    assert discovery.running() == []


def test_on_a_hub_unused_endpoints_end_by_default(monkeypatch):
    assert idle_minutes(None) == 0
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/jo/")
    assert idle_minutes(None) == 30
    assert idle_minutes(0) == 0
