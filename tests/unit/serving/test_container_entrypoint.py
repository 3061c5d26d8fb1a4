"""A container's entrypoint in an environment with nothing but its requirements."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.serving import models
from tests.unit.serving.containers import REF, filled, lines
from tests.unit.serving.harness import wait_for
from workbench.serving.client import Client
from workbench.serving.container import ContainerConfig, write_context
from workbench.serving.container.config import SECRET
from workbench.serving.manager import Manager
from workbench.serving.traffic import Traffic
from workbench.store import open_store


def public_python():
    """An interpreter of this version that every user may run; None if there is none."""
    for path in (Path(sys.executable).resolve(), Path("/usr/bin/python3").resolve()):
        if not path.is_file() or not all(p.stat().st_mode & 0o001 for p in (path, *path.parents)):
            continue
        said = subprocess.run([path, "-V"], capture_output=True, text=True).stdout
        if said.split()[-1].split(".")[:2] == [str(part) for part in sys.version_info[:2]]:
            return path
    return None


PUBLIC = public_python()
IS_OTHER_USER = os.geteuid() == 0 and PUBLIC is not None


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What the Dockerfile's RUN lines make: a Python with the requirements and the wheel alone."""
    folder = tmp_path_factory.mktemp("built")
    registry = filled(open_store(folder / "home"), folder)
    context = write_context(registry, [REF], folder / "context", ContainerConfig())
    root = Path(tempfile.mkdtemp(prefix="workbench-image-"))
    root.chmod(0o755)
    base = PUBLIC or Path(sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", root / "python"], check=True)
    for command in lines(context, "RUN"):
        words = shlex.split(command.partition("&&")[0])
        assert words[:3] == ["python", "-m", "pip"]
        words = [str(copied(context, word)) for word in words]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "--python", root / "python/bin/python", *words[3:]],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    yield root, context
    shutil.rmtree(root)


def copied(context, word):
    """Returns the file that an instruction copied to /tmp/build, or the word itself."""
    name = Path(word).name if word.startswith("/tmp/build/") else None
    return next(context.folder.rglob(name)) if name else word


@pytest.fixture
def image(built):
    """The image with a fresh workspace, and the token mounted."""
    root, context = built
    for name in ("home", "tmp"):
        shutil.rmtree(root / name, ignore_errors=True)
    shutil.copytree(context.folder / "workspace", root / "home")
    (root / "tmp").mkdir()
    shutil.copy(context.token_file, root / "token")
    if IS_OTHER_USER:  # COPY --chown, and the owner of the mounted token
        for path in [root / "token", root / "tmp", root / "home", *(root / "home").rglob("*")]:
            os.chown(path, 10001, 0)
    return root


def run_in(root, words, **options):
    """Starts a program as the image's user, with nothing of this environment."""
    env = {"WORKBENCH_HOME": f"{root}/home", "JUPYTER_RUNTIME_DIR": f"{root}/tmp/runtime"}
    env |= {"HOME": f"{root}/tmp", "PATH": f"{root}/python/bin", "PYTHONUNBUFFERED": "1"}
    if IS_OTHER_USER:
        options |= {"user": 10001, "group": 0, "extra_groups": []}
    command = [f"{root}/python/bin/{words[0]}", *words[1:]]
    return subprocess.Popen(
        command,
        **{"cwd": root / "home", "env": env, "text": True, **options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def said_by(root, words):
    with run_in(root, words) as process:
        text = process.stdout.read()
    return process.returncode, text


@contextmanager
def contained(root, context):
    """Runs the entrypoint until its own health check holds."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port = str(probe.getsockname()[1])
    places = {str(SECRET): f"{root}/token", "8000": port}
    (entrypoint,) = map(json.loads, lines(context, "ENTRYPOINT"))
    (health,) = lines(context, "HEALTHCHECK")
    check = [places.get(word, word) for word in json.loads(health.partition("CMD ")[2])]
    with run_in(root, [places.get(word, word) for word in entrypoint]) as process:
        try:
            wait_for(lambda: threading.Event().wait(0.2) or said_by(root, check)[0] == 0, 60)
            yield process, port
        finally:
            process.kill()


def served_by(client):
    return json.loads(client.call("GET", "/v2/models/digits"))["versions"]


@pytest.mark.full
def test_the_entrypoint_serves_with_nothing_but_its_requirements(built, image):
    _, context = built
    code, text = said_by(image, ["python", "-c", "import torch"])
    assert (code, "No module named 'torch'" in text) == (1, True)
    with contained(image, context) as (process, port):
        token = context.token_file.read_text()
        client = Client(f"http://127.0.0.2:{port}", token)  # it listens on every address
        _, test, _, _ = models.digits()
        assert client.predict(test[0])[0].label in models.LABELS
        assert served_by(client) == ["4"]

        code, text = said_by(image, ["workbench", "rollback", "digits"])
        assert code == 0, text
        wait_for(lambda: served_by(client) == ["2"])
        manager = Manager(client)
        manager.set_traffic(Traffic(weights={"1": 1}))
        (row,) = (row for row in manager.traffic().versions if row.version == "1")
        assert row.share == 1
        client.close()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert token not in rest
    inside = open_store(image / "home")
    actions = [entry.action for entry in inside.audit.entries()]
    assert {"rollback", "serve_switched", "serve_traffic"} <= set(actions)


@pytest.mark.full
def test_the_entrypoint_serves_nothing_that_was_changed(built, image):
    _, context = built
    inside = open_store(image / "home")
    path = inside.blobs.path(inside.models.resolve(REF).files["model.onnx"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    (entrypoint,) = map(json.loads, lines(context, "ENTRYPOINT"))
    code, text = said_by(image, [w if w != str(SECRET) else f"{image}/token" for w in entrypoint])
    assert code == 1
    assert "was changed" in text
