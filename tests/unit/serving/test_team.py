"""A change at one worker holds at all, those included that were about to answer when it came."""

from __future__ import annotations

import asyncio

from workbench.serving.team import KEYS, Member, Members, Team, write_members

SINCE = "2026-01-01T00:00:00+00:00"


def about(port, index):
    return Member(index=index, pid=1, port=port, since=SINCE)


def test_who_is_about_to_answer_is_asked_as_soon_as_it_does(tmp_path):
    async def follow():
        asked = asyncio.Event()

        async def keys():
            asked.set()
            return b"7"

        team, other = Team(tmp_path, "secret"), Team(tmp_path, "secret")
        port = await other.open({KEYS: keys})
        write_members(tmp_path, Members(wanted=2, beginning=(1,)))
        following = asyncio.create_task(team.followed(7, KEYS))
        done, _ = await asyncio.wait([following], timeout=0.2)
        assert not done, "nobody had asked the one that begins"
        write_members(tmp_path, Members(wanted=2, alive=(about(port, 1),)))
        late = await asyncio.wait_for(following, 20)
        other.close()
        return late, asked.is_set()

    assert asyncio.run(follow()) == ((), True)


def test_who_never_begins_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.serving.team._LOADING_S", 0.05)
    write_members(tmp_path, Members(wanted=2, beginning=(0, 1)))
    assert asyncio.run(Team(tmp_path, "secret").followed(7, KEYS)) == (1,)
