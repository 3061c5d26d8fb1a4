"""`workbench lab` and `workbench dashboards`: what they start, and where."""

from __future__ import annotations

import ast
import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from workbench.core.errors import InputError, NotFoundError, UnsupportedError
from workbench.flow.cli import screens
from workbench.flow.cli.main import app


@pytest.fixture
def started(monkeypatch):
    """The command that would have taken this process's place."""
    commands = []
    monkeypatch.setattr(screens, "become", lambda command: commands.append(command))
    monkeypatch.setattr(screens, "is_root", lambda: False)
    monkeypatch.setenv("WORKBENCH_HOME", os.environ["WORKBENCH_HOME"])
    monkeypatch.setenv("JUPYTER_PATH", "elsewhere")

    def start(*arguments):
        done = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return commands[-1][3:]

    return start


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """As from a wheel: no checkout, the notebooks lie in the package."""
    shipped = tmp_path / "site-packages"
    shutil.copytree(screens._HERE, shipped)
    monkeypatch.setattr(screens, "_HERE", tmp_path / "nothing")
    monkeypatch.setattr(screens, "_SHIPPED", shipped)
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    return desk


def test_lab_opens_the_tutorial_of_the_checkout_beside_the_other_files(started, monkeypatch):
    monkeypatch.chdir(screens._HERE.parent)
    command = started("lab", "--no-browser", "--port", "9000")
    assert f"--ServerApp.root_dir={screens._HERE.parent}" in command
    opened = "--LabApp.default_url=/lab/tree/notebooks/tutorials/01-first-model.ipynb"
    assert opened in command
    assert command[-3:] == ["--no-browser", "--port", "9000"]


def test_root_is_told_how_before_lab_refuses(started, monkeypatch):
    monkeypatch.setattr(screens, "is_root", lambda: True)
    with pytest.raises(UnsupportedError, match="does not run as root") as refused:
        started("lab")
    assert "--allow-root" in refused.value.hint
    assert started("lab", "--allow-root")[-1] == "--allow-root"


def test_lab_from_a_wheel_works_on_a_copy_that_is_kept(started, installed):
    started("lab")
    copy = installed / "01-first-model.ipynb"
    copy.write_text("my own notes")
    started("lab")
    assert copy.read_text() == "my own notes"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(started, installed):
    installed.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        started("lab")


def test_a_notebook_of_ones_own_is_opened_wherever_it_lies(started, installed, tmp_path):
    own = tmp_path / "else where.ipynb"
    own.write_text("{}")
    assert started("lab", str(own))[0] == str(own)
    assert started("dashboards", str(own))[0] == str(own)
    for command in ("lab", "dashboards"):
        with pytest.raises(NotFoundError, match="missing"):
            started(command, "missing.ipynb")


def test_the_dashboard_finds_this_workspace_and_loads_no_foreign_extension(started, installed):
    command = started("dashboards", "--theme=dark")
    assert command[0].endswith("dashboards/tradeoff.ipynb")
    assert "--Voila.ip=127.0.0.1" in command
    name, _, value = next(o for o in command if "allowlist" in o).partition("=")
    assert name == "--VoilaConfiguration.extension_allowlist"
    assert "anywidget" in json.loads(value)
    assert command[-1] == "--theme=dark"
    assert "--VoilaConfiguration.template=workbench" in command
    folder = screens.Path(os.environ["JUPYTER_PATH"].split(os.pathsep)[0])
    assert (folder / "voila/templates/workbench/index.html.j2").is_file()
    assert (screens.Path(os.environ["WORKBENCH_HOME"]) / "workbench.db").exists()


def test_the_dashboard_loads_from_itself_and_is_called_by_further_names_if_wanted(
    started, installed
):
    command = started("dashboards", "--allow-host", "lab.example", "--allow-host", "b.example")
    hosts = [f"--Dashboards.allowed_hosts={name}" for name in ("lab.example", "b.example")]
    assert [option for option in command if "allowed_hosts" in option] == hosts
    _, _, value = next(o for o in command if "tornado_settings" in o).partition("=")
    assert "default-src 'self'" in ast.literal_eval(value)["headers"]["Content-Security-Policy"]
