"""Tries every verb of the public door in a workspace whose disk is ill; prints how each ended.

`python every_verb.py ROOT DATA RUN [VERB …]`: a JSON list of [verb, outcome, words] a line. The
outcome is "ok", the code of a `WorkbenchError`, or "RAW" for anything else that was raised.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.flow.workspace import Workspace

NEW = "a,b,y\n" + "".join(f"{i},{i * 7 % 13},{'pq'[i % 2]}\n" for i in range(60))


def outcome(work: Callable[[], Any]) -> tuple[str, str]:
    try:
        return "ok", str(work())[:200]
    except WorkbenchError as error:
        return error.code, str(error)
    except BaseException:  # noqa: BLE001 (that none of these comes through is what is tested)
        return "RAW", traceback.format_exc()


def verbs(root: Path, data: str, run: str) -> dict[str, Callable[[], Any]]:
    space: Workspace | None = None

    def opened() -> Workspace:
        nonlocal space
        space = space or Workspace(root, inline=True)
        return space

    return {
        "open": opened,
        "runs": lambda: opened().runs(),
        "run": lambda: opened().run(run).metrics,
        "models": lambda: opened().models(),
        "version": lambda: opened().version("model:digits@champion"),
        "verify": lambda: opened().verify("model:digits@champion"),
        "endpoints": lambda: opened().endpoints(),
        "endpoint": lambda: opened().endpoint("none"),
        "reload": lambda: opened().load(data),
        "evaluate": lambda: opened().evaluate("model:digits@1", data),
        "export": lambda: opened().export("model:digits@1"),
        "study table": lambda: opened().study(first_study(opened())).table(),
        "serve": lambda: served(opened()),
        "load": lambda: opened().load(Path(os.environ["NEW_TABLE"]), target="y"),
        "train": lambda: opened().train(data, "mlp", epochs=1, threads=1, hidden=[8]),
        "import_model": lambda: opened().import_model(os.environ["MODEL_FILE"]),
        "study": lambda: opened().study(run).measure("half:fp16"),
        "compress": lambda: opened().compress(run, max_drop=0.5, budget="1 s"),
        "register": lambda: opened().register(run, "another"),
        "promote": lambda: opened().promote("digits", 1, "other"),
        "rollback": lambda: opened().rollback("digits"),
        "delete": lambda: opened().delete("model:digits@3"),
        "gc": lambda: opened().gc(),
    }


def first_study(space: Workspace) -> str:
    return f"study:{space.store.studies.all()[0].id}"


def served(space: Workspace) -> str:
    endpoint = space.serve("model:digits@champion")
    try:
        return str(endpoint.predict(np.zeros((8, 8)))[0].label)
    finally:
        endpoint.stop()


def main(root: str, data: str, run: str, *only: str) -> None:
    if "BECOME" in os.environ:  # what a verb imports may be out of reach of another user
        for work in verbs(Path(os.environ["WARM"]), data, run).values():
            outcome(work)
        os.setgid(int(os.environ["BECOME"]))
        os.setuid(int(os.environ["BECOME"]))
    for name, work in verbs(Path(root), data, run).items():
        if not only or name in only:
            sys.stdout.write(json.dumps([name, *outcome(work)]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
