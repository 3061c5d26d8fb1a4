"""Idle connections of callers without a token lock nobody out."""

import asyncio
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.unit.serving.harness import raw_request, running, wait_for
from workbench.serving import team as team_file
from workbench.serving.limits import Limits
from workbench.serving.places import Places
from workbench.serving.service import Settings
from workbench.serving.team import ASKING, FIGURES, Team, ask


class Guest:
    def __init__(self, is_answering=False):
        self.is_answering, self.is_gone = is_answering, False

    def abort(self):
        self.is_gone = True


def test_the_idlest_stranger_gives_way_and_who_showed_a_token_stays():
    places = Places(4)
    known, busy, early, late = (Guest(), Guest(is_answering=True), Guest(), Guest())
    assert all(places.take(one) for one in (known, busy, early, late))
    assert places.know(known, "main")
    places.seen(early)  # asked again, after `late` came
    assert places.take(Guest())
    assert [one.is_gone for one in (known, busy, early, late)] == [False, False, False, True]
    assert places.take(Guest())
    assert [one.is_gone for one in (known, busy, early)] == [False, False, True]
    assert len(places) == 4


def test_without_strangers_a_further_one_finds_no_place():
    places = Places(2)
    known = [Guest(), Guest()]
    for one in known:
        places.take(one)
        assert places.know(one, "main")
        places.seen(one)
    assert not places.take(Guest())
    assert not any(one.is_gone for one in known)


def test_more_idle_connections_than_there_are_places_lock_nobody_out(square_file):
    settings = Settings(limits=Limits(connections=32, connections_a_token=32))
    request = raw_request("GET", "/v2")
    with running(square_file, settings=settings) as found, ExitStack() as held:
        kept = held.enter_context(found.socket())
        with_token = raw_request("GET", "/v2", token=found.token)
        kept.sendall(with_token)
        assert b"200 OK" in kept.recv(65536)
        for index in range(70):
            one = held.enter_context(found.socket())
            one.sendall((b"", b"GET / HT", request)[index % 3])  # idle, half a head, refused
        for _ in range(3):
            assert b" 200 OK" in found.exchange(
                raw_request("GET", "/v2", token=found.token, headers=["Connection: close"])
            )
        kept.sendall(with_token)
        assert b"200 OK" in kept.recv(65536)
        wait_for(lambda: len(found.service.server.connections) <= 32)


@pytest.mark.full
def test_1100_idle_connections_lock_nobody_out(square_file):
    with running(square_file) as found, ExitStack() as held:
        for _ in range(1100):
            held.enter_context(found.socket())
        for _ in range(20):
            assert found.http.get("/v2").status_code == 200
            found.http.close()
            found.http = type(found.http)(base_url=found.url, headers=found.http.headers)


def test_silent_connections_to_a_workers_own_port_give_way_and_the_others_are_answered(
    tmp_path, monkeypatch
):
    """Whoever may use the machine can open them; a worker that answers nothing is replaced."""

    monkeypatch.setattr(team_file, "_WAIT_S", 1000.0)

    async def figures():
        return b"figures"

    async def flood():
        team = Team(tmp_path, "secret")
        port = await team.open({FIGURES: figures})
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(ASKING + 10)]
        try:
            assert await ask(port, "secret", FIGURES, timeout_s=10) == b"figures"
            gone, kept = silent[:10], silent[-1]
            assert [await reader.read() for reader, _ in gone] == [b""] * 10
            kept[1].write(b"secret \n")
            return await kept[0].read()
        finally:
            for _, writer in silent:
                writer.close()
            team.close()

    assert asyncio.run(asyncio.wait_for(flood(), 20)) == b"figures"


def test_connections_fit_into_the_files_that_the_process_may_open():
    """In a process of its own: a limit once lowered stays."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from workbench.serving.launch import fitting\n"
        "from workbench.serving.limits import Limits\n"
        "print(fitting(Limits(connections=500), 1).connections,"
        " resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def ask(soft, hard):
        made = subprocess.run(
            [sys.executable, "-c", code.format(soft=soft, hard=hard)],
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(word) for word in made.stdout.split()]

    connections, soft = ask(256, 4096)
    assert connections == 500
    assert soft >= 500
    connections, soft = ask(256, 256)
    assert 100 <= connections < 256
    assert soft == 256
