"""Runs an endpoint of several processes behind one port, some of which are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from tests.unit.serving.harness import wait_for
from workbench.store import open_store

ZEROS = np.zeros((1, 1, 8, 8), np.float32)
BODY = {"inputs": ZEROS.tolist()}


def start(*arguments, env=None):
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.serving.process", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


class Workers:
    """A running endpoint of several workers; each request comes on a connection of its own."""

    def __init__(self, process, home):
        self.process, self.home = process, home
        self.ready = json.loads(process.stdout.readline())
        self.headers = {"authorization": f"Bearer {self.ready['token']}"}

    def request(self, method, path, **options):
        url = self.ready["url"] + path
        return httpx.request(method, url, headers=self.headers, trust_env=False, **options)

    def ask(self):
        return self.request("POST", "/predict", json=BODY)

    def health(self):
        return self.request("GET", "/v2/health/ready").json()["workers"]

    def pids(self):
        """The processes that answer; one more waits to take a place."""
        (folder,) = (self.home / "endpoints").glob("*")
        members = json.loads((folder / "workers.json").read_text())["alive"]
        return [member["pid"] for member in members]

    def children(self):
        pid = self.process.pid
        return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill_one(self):
        """Kills a worker and returns when another took its place."""
        before = self.health()["restarts"]
        os.kill(self.pids()[0], signal.SIGKILL)
        wait_for(lambda: self._recovered(before))

    def _recovered(self, before):
        try:
            found = self.health()
        except httpx.HTTPError:  # the connection went to the one that was killed
            return False
        return found["restarts"] == before + 1 and found["alive"] == found["wanted"]


@contextmanager
def workers(file, folder, count=2, options=()):
    """Serves a file with several workers for the time of the block."""
    home = folder / "home"
    open_store(home)
    env = {"WORKBENCH_HOME": str(home), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    further = ("--grpc-port", 0, "--json", "--drain", 5, *options)
    with start(file, "--workers", count, *further, env=env) as process:
        try:
            yield Workers(process, home)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()
            process.stderr.close()
