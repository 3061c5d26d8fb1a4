"""Drives a real JupyterLab and Voila in a real Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
TOKEN = "browser-tests"
_PAUSE_S = 0.2
SHOTS = (
    Path(os.environ.get("WORKBENCH_SCREENSHOTS", ""))
    if os.environ.get("WORKBENCH_SCREENSHOTS")
    else None
)
OURS = r"(https?|wss?)://(127\.0\.0\.1|localhost|hub\.example)[:/]|(data|blob|about|chrome):"
# Said by Lab, Voila and their extensions themselves, on a page without anything of ours.
NOT_OURS = (
    "favicon", "api/me", "Failed to load resource", "ResizeObserver loop", "jupyterlab-manager",
    "No transpilation", "WebSocket", "api/kernels", "api/sessions", "Connection lost",
    "Kernel: ", "collaboration", "notebook:", "status of kernel", "lsp", "terminals",
    "Error: Canceled", "Could not restore the debugger state",
)  # fmt: skip
# Voila loads this extension of JupyterLab, which asks for a part of Lab that Voila does not have.
OTHERS = "/voila/labextensions/@jupyterhub/jupyter-server-proxy/static/"


class Server:
    """A Jupyter server of ours; ended by its process group."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: dict[str, str], url: str, log: Path,
        python: str = sys.executable,
    ) -> None:  # fmt: skip
        self.url = url
        self.log = log
        self._ended = threading.Event()
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [python, "-m", *command], cwd=cwd, env={**os.environ, **env},
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self, path: str = "", timeout_s: float = 60) -> Server:
        """Returns when it answers `path`; fails at once when its process ends."""
        end = time.monotonic() + timeout_s
        while not self._answers(path):
            ended = self._ended.wait(_PAUSE_S)
            assert not ended, self.log.read_text()[-3000:]
            assert time.monotonic() < end, self.log.read_text()[-3000:]
        return self

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _watch(self) -> None:
        self.process.wait()
        self._ended.set()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def start_lab(
    folder: Path, port: int, env: dict[str, str], base: str = "/", *options: str
) -> Server:
    """Starts JupyterLab on `folder`."""
    command = [
        "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
        f"--ServerApp.base_url={base}",
        f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", "--allow-root",
        "--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly", *options,
    ]  # fmt: skip
    return Server(command, folder, env, f"http://127.0.0.1:{port}{base}", folder / "lab.log")


def start_voila(
    notebook: Path, port: int, env: dict[str, str], theme: str = "light", base: str = "/"
) -> Server:
    """Starts Voila on one notebook, as users do."""
    command = [
        "workbench.flow.cli.main", "dashboards", str(notebook), "--no-browser", f"--port={port}",
        f"--theme={theme}", "--show_tracebacks=True", f"--base_url={base}",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}{base}"
    return Server(command, notebook.parent, env, url, notebook.parent / "voila.log")


def write_notebook(path: Path, cells: Sequence[str]) -> Path:
    """Writes a notebook of code cells."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": text, "outputs": [],
         "execution_count": None}
        for i, text in enumerate(cells)
    ]  # fmt: skip
    meta = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(
        json.dumps({"cells": made, "metadata": meta, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def _is_of_others(text: str) -> bool:
    """Whether the file that complained, the first one in the error's stack, is not ours."""
    stack = re.findall(r"https?://\S+", text)
    return bool(stack) and OTHERS in stack[0]


class Page:
    """A page with what its console said."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.console: list[str] = []
        self.elsewhere: list[str] = []
        page.on("request", self._note_elsewhere)
        page.on("console", lambda m: self.console.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: self.console.append(f"uncaught: {e}"))

    def _note_elsewhere(self, request: Any) -> None:
        """Keeps requests that leave this machine."""
        if not re.match(OURS, request.url):
            self.elsewhere.append(request.url)

    def errors(self) -> list[str]:
        """What the console complained about that may be ours."""
        said = [text for text in self.console if not _is_of_others(text)]
        return [text for text in said if not any(word in text for word in NOT_OURS)]

    def open_notebook(self, server: Server, name: str) -> None:
        self.page.goto(f"{server.url}lab/tree/{name}?token={TOKEN}&reset")
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget",
            timeout=60000,
        )
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell", timeout=60000)
        self.kernel_idle()

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        self.page.evaluate(
            "([n, a]) => { window.jupyterapp.commands.execute(n, a); }", [name, args or {}]
        )

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def save(self) -> None:
        """Saves the notebook."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")

    def leave(self) -> None:
        """Ends the notebook's kernel, so that panels nobody looks at cost nothing."""
        self.page.evaluate(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown()"
        )

    def kernel_idle(self) -> None:
        """Waits until the kernel has nothing to do."""
        self.page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
            " === 'idle'",
            timeout=60000,
        )

    def restart_kernel(self) -> None:
        self.page.evaluate(
            "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )

    def theme(self, dark: bool) -> None:
        self.command(
            "apputils:change-theme", {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}
        )
        self.page.wait_for_function(
            f"document.body.dataset.jpThemeLight === '{str(not dark).lower()}'"
        )
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def shot(self, name: str, selector: str | None = None) -> None:
        """Takes a picture for eyes, if a folder for them is set."""
        if SHOTS is None:
            return
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = str(SHOTS / f"{name}.png")
        if selector is None:
            self.page.screenshot(path=path)
        else:
            self.page.locator(selector).first.screenshot(path=path)
