"""One replica as the node holds it on which Ray placed it; started, told to go, watched, ended.

Every method answers with plain values: errors cross machines as dicts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core.errors import WorkbenchError, error_from_dict
from workbench.core.optional import require
from workbench.serving.errors import StartError


class Placed:
    """A server process beside this one. Its methods block; Ray calls each in its own thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(
        self, words: Sequence[str], token: str, index: int, *, sets_traffic: bool
    ) -> dict[str, Any]:
        """Starts the process and returns where it listens, or its own reason why it does not.

        Args:
            words: Its command line; no secret is among them.
            token: Of the endpoint.
            index: Its number.
            sets_traffic: Whether it sets the traffic that was asked for at the start.

        Returns:
            "host", "node", "port" and "models", or "error".
        """
        command = [sys.executable, "-P", "-m", "workbench.serving.replica", *words]
        ray = require("ray", for_="placing replicas", extra="scale")
        address, node = ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id()
        command += ["--host", address, "--port", "0"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self._exchange({"token": token})
            ready = self._exchange({"index": index, "sets_traffic": sets_traffic})
        except WorkbenchError as error:
            self._process.kill()
            return {"error": error.to_dict()}
        return {"host": address, "node": node, **ready}

    def ended(self) -> str:
        """Waits for the end of the process and returns the reason in words."""
        if self._process is None:
            return "it was not started"
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def end(self, timeout_s: float) -> bool:
        """Asks it to end, and kills it if it does not; returns whether it ended well."""
        if self._process is None:
            return True
        self._process.terminate()
        try:
            return self._process.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            return False

    def _exchange(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Writes one line of JSON and reads one."""
        process = self._process
        said: dict[str, Any] = {}
        if process is not None and process.stdin is not None and process.stdout is not None:
            try:
                process.stdin.write(json.dumps(told) + "\n")
                process.stdin.flush()
                said = json.loads(process.stdout.readline() or "{}")
            except (OSError, ValueError):
                said = {}
        if "error" in said:
            raise error_from_dict(said["error"])
        if not said:
            raise StartError(
                "A replica ended, or said nothing, before it was ready.",
                hint="Is the workbench installed on that node, and does it see the workspace?",
            )
        return said
