"""A container's folder, file by file; and an engine that builds and runs it."""

import json
import sqlite3
import stat
import subprocess
import sys
import zipfile
from contextlib import closing
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.unit.serving.containers import REF, filled, lines
from workbench.core.errors import (
    ConflictError,
    InputError,
    IntegrityError,
    NotFoundError,
    UnsupportedError,
)
from workbench.serving.client import Client
from workbench.serving.container import ContainerConfig, write_context
from workbench.serving.container.config import SECRET
from workbench.serving.container.requirements import pinned
from workbench.serving.errors import StartError
from workbench.serving.host import Order
from workbench.serving.hosts import HOSTS
from workbench.store import open_store
from workbench.store.carrying import carry


@pytest.fixture
def registry(store, tmp_path):
    return filled(store, tmp_path)


@pytest.fixture
def context(registry, tmp_path):
    return write_context(registry, [REF], tmp_path / "context", ContainerConfig())


# the registry inside --------------------------------------------------------------------------


def test_what_an_alias_points_at_and_can_go_back_to_is_carried_and_verified(context):
    assert context.versions == tuple(f"model:digits@{number}" for number in (1, 2, 4))
    inside = open_store(context.folder / "workspace")
    assert inside.models.aliases("digits") == {"champion": 4}
    assert inside.models.resolve(REF).number == 4
    assert [inside.models.rollback("digits").number for _ in range(2)] == [2, 1]
    inside.audit.verify()


def test_the_signing_key_stays_and_a_changed_version_does_not_verify(context, registry):
    keys = context.folder / "workspace" / "keys"
    assert [path.name for path in keys.rglob("*") if path.is_file()] == ["origin.pem"]
    for path in context.folder.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes(), path
    inside = open_store(context.folder / "workspace")
    version = inside.models.resolve(REF)
    inside.models.verify(version)
    path = inside.blobs.path(version.files["model.onnx"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="was changed"):
        inside.models.verify(version)


def test_a_signature_by_a_key_that_is_not_trusted_is_refused(context):
    inside = open_store(context.folder / "workspace")
    (context.folder / "workspace" / "keys" / "trusted" / "origin.pem").unlink()
    with pytest.raises(IntegrityError, match="signature"):
        inside.models.verify(inside.models.resolve(REF))


def test_a_model_is_not_carried_twice_or_from_nowhere(registry, tmp_path):
    other = open_store(tmp_path / "other")
    with pytest.raises(NotFoundError, match="No model 'none'"):
        carry(registry, other, "none")
    assert [found.number for found in carry(registry, other, "digits", keep=1)] == [4]
    with pytest.raises(ConflictError, match="already"):
        carry(registry, other, "digits")


# the folder -----------------------------------------------------------------------------------


def test_no_secret_gets_into_the_image(context):
    token = (context.folder / "token").read_text()
    assert stat.S_IMODE((context.folder / "token").stat().st_mode) == 0o600
    ignored = (context.folder / ".dockerignore").read_text().split()
    assert ignored == ["*", "!requirements.txt", "!wheels", "!workspace"]
    for path in context.folder.rglob("*"):
        if path.is_file() and path.name != "token":
            assert token.encode() not in path.read_bytes(), path
    copied = {line.split()[-2].split("/")[0] for line in lines(context, "COPY")}
    assert copied <= {name.lstrip("!") for name in ignored}


def test_the_image_runs_as_nobody_in_particular_and_tells_its_health(context):
    assert lines(context, "USER") == ["10001:0"]
    assert lines(context, "FROM") == [
        f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    ]
    assert lines(context, "EXPOSE") == ["8000"]
    (entrypoint,) = map(json.loads, lines(context, "ENTRYPOINT"))
    assert entrypoint[:3] == ["workbench", "serve", REF]
    assert "0.0.0.0" in entrypoint
    (health,) = lines(context, "HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2])[-2:] == ["workbench.serving.health", "8000"]
    database = context.folder / "workspace" / "workbench.db"
    assert stat.S_IMODE(database.stat().st_mode) & 0o660 == 0o660  # any user of group 0
    assert not list(database.parent.glob("*-wal"))
    with closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as found:
        assert found.execute("SELECT count(*) FROM versions").fetchone() == (3,)


def test_requirements_are_what_is_installed_here_and_have_no_torch(context):
    pins = dict(
        line.split("==") for line in (context.folder / "requirements.txt").read_text().split()
    )
    assert pins["onnxruntime"] == version("onnxruntime")
    assert pins["pydantic-core"] == version("pydantic-core")
    assert not {"torch", "pandas", "jupyterlab", "onnx", "scikit-learn"} & set(pins)


ALONE = """
import sys
allowed = set(sys.argv[1].split(","))
class Others:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if not top.startswith("_") and top not in allowed | sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{name} is not among the requirements", name=name)
sys.meta_path.insert(0, Others())
import workbench.serving.process
from workbench.flow.cli.app import workspace
from workbench.flow.cli.main import app
found = workspace()
found.servable("model:digits@champion")
print(found.rollback("digits").number)
"""


def test_the_commands_inside_need_nothing_but_the_requirements(registry):
    names = {line.partition("==")[0] for line in pinned()}
    allowed = {"workbench"} | {
        module
        for module, packages in packages_distributions().items()
        if names & {package.lower().replace("_", "-") for package in packages}
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, ",".join(allowed)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2"]


def test_the_wheel_holds_the_package_as_it_runs_here(context):
    (wheel,) = (context.folder / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        process = archive.read("workbench/serving/process.py")
    assert process == (Path(__file__).parents[3] / "workbench/serving/process.py").read_bytes()
    assert "workbench/serving/static/console.html" in names
    assert not [name for name in names if "__pycache__" in name]


def test_manifests_mount_the_secret_and_never_run_as_root(context):
    deployment, service = yaml.safe_load_all((context.folder / "kubernetes.yml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["volumeMounts"][0]["mountPath"] == str(SECRET)
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert service["spec"]["ports"][0]["port"] == 8000
    (kserve,) = yaml.safe_load_all((context.folder / "kserve.yml").read_text())
    assert kserve["spec"]["predictor"]["containers"][0]["name"] == "kserve-container"


def test_written_again_it_keeps_the_token_and_takes_the_new_champion(context, registry, tmp_path):
    token = context.token_file.read_text()
    registry.models.promote("digits", 3)
    again = write_context(registry, [REF], context.folder, ContainerConfig(keep=1))
    assert again.versions == ("model:digits@3",)
    assert again.token_file.read_text() == token
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("mine")
    with pytest.raises(ConflictError, match="not empty"):
        write_context(registry, [REF], tmp_path / "full", ContainerConfig())
    assert (tmp_path / "full" / "diary.txt").read_text() == "mine"


def test_what_cannot_go_in_is_said(registry, digits_file, tmp_path):
    with pytest.raises(InputError, match="registered models would be right"):
        write_context(registry, [str(digits_file)], tmp_path / "c", ContainerConfig())
    with pytest.raises(NotFoundError, match="cannot be pinned"):
        write_context(registry, [REF], tmp_path / "c", ContainerConfig(packages=("nosuch",)))


# engines --------------------------------------------------------------------------------------


ENGINE = """#!{python}
import os, shutil, subprocess, sys
words = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(" ".join(words) + "\\n")
if words[0] == "info":
    sys.exit({info})
if words[0] == "build" and {build}:
    sys.exit("no space left on device")
if words[0] == "run":
    value = lambda name: words[words.index(name) + 1]
    home = os.path.dirname(value("--volume").split(":")[0])
    port = value("--publish").split(":")[1]
    line = [l for l in open(home + "/Dockerfile") if l.startswith("ENTRYPOINT")][0]
    command = __import__("json").loads(line.split(" ", 1)[1])
    command[command.index("--token-file") + 1] = value("--volume").split(":")[0]
    command[command.index("--port") + 1] = port
    os.environ["WORKBENCH_HOME"] = home + "/workspace"
    os.environ["JUPYTER_RUNTIME_DIR"] = home + "/runtime"
    command = [sys.executable, "-m", "workbench.flow.cli.main", *command[1:]]
    os.execv(command[0], command)
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Puts a stand-in for docker on the path: it runs the entrypoint here, without an image."""

    def put(*, info=0, build=0):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "docker"
        values = {"python": sys.executable, "info": info, "build": build}
        script.write_text(ENGINE.format(log=str(folder / "log"), **values))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        return lambda: (folder / "log").read_text().splitlines()

    return put


def test_an_engine_builds_and_runs_it_and_ends_it(registry, engine):
    log, host = engine(), HOSTS.get("container")
    assert host.supports() is None
    info = host.start(Order((REF,), registry.home.root, id="boxed"))
    try:
        client = Client(info.url, info.token)
        assert len(client.predict(np.zeros((2, 1, 8, 8), np.float32))) == 2
        client.close()
        with pytest.raises(ConflictError, match="running already"):
            host.start(Order((REF,), registry.home.root, id="boxed"))
    finally:
        host.stop(info)
    build, run = log()[-2:]
    assert build.startswith("build --tag workbench-digits:boxed ")
    assert "--publish 127.0.0.1:" in run
    assert info.token not in "".join(log())


def test_without_an_engine_the_reason_is_told(registry, engine, monkeypatch, tmp_path):
    host = HOSTS.get("container")
    engine(info=1)
    with pytest.raises(UnsupportedError) as caught:
        host.start(Order((REF,), registry.home.root))
    assert "docker: `docker info` ended with code 1" in str(caught.value)
    assert "podman: not installed" in str(caught.value)
    assert "workbench container REF FOLDER" in str(caught.value)
    engine(build=1)
    with pytest.raises(StartError, match="no space left"):
        host.start(Order((REF,), registry.home.root))
