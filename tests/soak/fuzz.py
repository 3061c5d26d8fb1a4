"""A million made-up requests against a real endpoint; every one is answered in words.

Hypothesis makes requests, and each is sent with 49 copies changed at random. The first answer that
is an internal error, a hang or a crash ends it, with the smallest input that shows it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from zlib import crc32

from hypothesis import HealthCheck, given, seed, settings

from tests.soak.beside import MOST_S, Waits, beside
from tests.soak.saying import say
from tests.unit.serving import models
from tests.unit.serving.fuzzing import (
    PIPELINED,
    PROPERTIES,
    RAW,
    Caller,
    Sent,
    check_pipelined,
    check_raw,
    mutated,
)
from tests.unit.serving.fuzzing_rpc import MESSAGES, RpcCaller
from tests.unit.serving.harness import running
from workbench.serving.metrics import resident_bytes
from workbench.serving.served import Source
from workbench.serving.service import Settings

_ROUND = 200
_MUTANTS = 49
_EVERY_S = 20.0


def run(folder: Path, inputs: int, first_seed: int) -> bool:
    """Sends the inputs and says how far it is; returns whether the endpoint is ready after it."""
    digits = models.save_digits(folder / "digits.onnx")
    sources = [
        Source("数字", "3", digits, models.description(), "model:数字@3"),
        digits,
        models.save_square(folder / "square.onnx"),
        models.save_two_inputs(folder / "pair.onnx"),
        models.save_echo(folder / "echo.onnx"),
    ]
    with running(*sources, settings=Settings(grpc_port=0)) as found, beside(found) as waits:
        caller = Caller(found.port, found.token)
        rpc = RpcCaller(found.service.grpc_port, found.token)

        def bodies(sent: Sent) -> None:
            chance = random.Random(crc32(sent.body))
            caller.check(sent)
            for _ in range(_MUTANTS):
                caller.check(replace(sent, body=mutated(sent.body, chance)))

        checks = {name: (strategy, bodies) for name, strategy in PROPERTIES.items()}
        checks["raw"] = (RAW, _with_mutants(partial(check_raw, found.port)))
        checks["pipelined"] = (PIPELINED, partial(_pipelined, found.port))
        checks["grpc"] = (MESSAGES, _with_mutants(rpc.check))
        done, number, began, said = 0, first_seed, time.monotonic(), 0.0
        before = resident_bytes() or 0
        while done < inputs:
            for name, (strategy, check) in checks.items():
                if done < inputs:
                    _round(strategy, check, number)
                    done += _ROUND * (1 + _MUTANTS)
                if time.monotonic() - said > _EVERY_S or done >= inputs:
                    said = time.monotonic()
                    grown = ((resident_bytes() or 0) - before) / 1e6
                    rate = done / (said - began)
                    say(f"{done:,} of {inputs:,} inputs ({name}), {rate:.0f}/s, +{grown:.0f} MB")
                    _tell(waits)
            number += 1
        caller.close()
        rpc.close()
        is_ready = found.http.get("/v2/health/ready").json()["ready"]
    say(f"seeds {first_seed} to {number - 1}: no crash, hang or internal error; ready: {is_ready}")
    _tell(waits)
    return bool(is_ready) and all(wait.is_good for wait in waits.values())


def _tell(waits: dict[str, Waits]) -> None:
    """Says how the well-behaved caller fared."""
    for way, wait in waits.items():
        say(f"  beside them over {way}: {wait} (at most {MOST_S:g} s)")


def _with_mutants(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        chance = random.Random(crc32(data))
        check(data)
        for _ in range(_MUTANTS):
            check(mutated(data, chance))

    return run


def _pipelined(port: int, sent: tuple[list[bytes], bytes, bool]) -> None:
    """Sends pipelined requests, and copies in another order with other bytes behind them."""
    heads, extra, closes_side = sent
    chance = random.Random(crc32(b"".join(heads) + extra))
    check_pipelined(port, sent)
    for _ in range(_MUTANTS):
        order = chance.sample(heads, len(heads))
        check_pipelined(port, (order, mutated(extra, chance), closes_side))


def _round(strategy, check, number: int) -> None:
    how = settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    seed(number)(how(given(strategy)(lambda sent: check(sent))))()
