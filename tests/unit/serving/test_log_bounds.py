"""The logs of an endpoint stay within bounds, whoever calls; half a line spoils no other."""

import json
import resource
import subprocess
import sys

import pytest

from tests.unit.serving.harness import raw_request, running, wait_for
from workbench.core.jsonl import Reader, append, part, parts
from workbench.serving.log_limits import LogLimits
from workbench.serving.own_log import turn_over
from workbench.serving.request_log import RequestLog

DAY = "2026-11-22"


def line(index, day=DAY):
    return json.dumps({"time": f"{day}T10:00:00Z", "index": index}, separators=(",", ":")).encode()


def written(folder):
    reader = Reader()
    return [found for path in parts(folder) for found in reader.lines(path)], reader.unreadable


def test_refused_requests_are_counted_not_written_one_by_one(square_file, tmp_path):
    with running(square_file, log_folder=tmp_path / "log") as found:
        anonymous = raw_request("GET", "/v2")
        wrong = raw_request("GET", "/v2", token="wrong-token-of-nobody")
        for _ in range(10):
            found.exchange((anonymous + wrong) * 25, half_close=True)
        assert found.http.get("/v2").status_code == 200
    lines, unreadable = written(tmp_path / "log")
    assert unreadable == 0
    assert [one["status"] for one in lines if "status" in one] == [200]
    (told,) = [one for one in lines if "left_out" in one]
    assert [(one["status"], one["count"]) for one in told["left_out"]] == [(401, 250), (403, 250)]
    assert told["since"] <= told["time"]


def test_files_are_bounded_in_size_number_and_age(tmp_path):
    append(tmp_path / "2026-09-01.jsonl", [line(0, "2026-09-01")])
    log = RequestLog(tmp_path, LogLimits(part_bytes=1000, total_bytes=5000, days=30))
    log._folder.hold()
    for index in range(1000):
        log._write([line(index)])
    files = parts(tmp_path)
    assert [path.stat().st_size <= 1100 for path in files] == [True] * len(files)
    assert sum(path.stat().st_size for path in files) <= 6100
    assert not (tmp_path / "2026-09-01.jsonl").exists()
    lines, _ = written(tmp_path)
    assert [one["index"] for one in lines if "index" in one][-3:] == [997, 998, 999]
    assert any("removed" in one for one in lines)


def test_the_parts_of_a_day_are_read_in_their_order(tmp_path):
    names = ["2026-11-21.jsonl", "2026-11-22.jsonl", "2026-11-22.2.jsonl", "2026-11-22.10.jsonl"]
    for name in (*names, "other.jsonl", "2026-11-22.x.jsonl"):
        append(tmp_path / name, [b"{}"])
    assert [path.name for path in parts(tmp_path)] == names
    assert part(tmp_path, DAY, 1).name == "2026-11-22.11.jsonl"


def test_half_a_line_is_skipped_and_told_and_the_next_begins_anew(tmp_path):
    path = tmp_path / f"{DAY}.jsonl"
    append(path, [line(0)])
    with path.open("ab") as file:
        file.write(line(1)[:20])
    append(path, [line(2), b"\xff\xfe", b"[1]", b"", line(3)[:-1]])
    with path.open("ab") as file:
        file.write(line(4))  # being written: left for the next time
    lines, unreadable = written(tmp_path)
    assert [one["index"] for one in lines] == [0, 2]
    assert unreadable == 4


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_a_full_disk_loses_lines_and_says_so_when_it_has_room_again(tmp_path):
    """A process whose files may not grow meets what a full disk does: half a line, then none."""
    code = f"""
import resource, signal
from pathlib import Path
from workbench.serving.request_log import RequestLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = RequestLog(Path({str(tmp_path)!r}), tell_s=0.01)
log.start()
log.add(b'{{"time":"{DAY}T10:00:00Z","index":0}}')
while not log.written: pass
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, hard))
log.add(b'{{"time":"{DAY}T10:00:00Z","index":1}}')
while not log.lost: pass
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
log.add(b'{{"time":"{DAY}T10:00:00Z","index":2}}')
while log.written < 2: pass
log.close()
"""
    assert resource.RLIMIT_FSIZE is not None
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    lines, unreadable = written(tmp_path)
    assert [one["index"] for one in lines if "index" in one] == [0, 2]
    assert unreadable == 1
    assert sum(one.get("lost", 0) for one in lines) >= 1


def test_a_log_makes_no_folder_where_a_workspace_was(tmp_path):
    log = RequestLog(tmp_path / "moved" / "requests")
    log.start()
    log.add(line(0))
    wait_for(lambda: log.lost)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_another_folder_where_the_workspace_was_gets_no_log(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    log = RequestLog(home / "requests")
    log.start()
    log.add(line(0))
    wait_for(lambda: log.written)
    home.rename(tmp_path / "moved")
    home.mkdir()
    log.add(line(1))
    wait_for(lambda: log.lost)
    log.close()
    assert list(home.iterdir()) == []
    assert log.written == 1


def test_the_log_of_its_own_words_is_turned_over_and_nobody_elses(tmp_path):
    place = tmp_path / "endpoints" / "e"
    place.mkdir(parents=True)
    for path in (place / "log", tmp_path / "log"):
        with path.open("wb") as file:
            file.write(b"old\n" * 1000)
            file.flush()
            turn_over(file.fileno(), 1000)
            file.write(b"new\n")
    assert (place / "log").read_bytes() == b"new\n"
    assert (place / "log.1").read_bytes() == b"old\n" * 1000
    assert (tmp_path / "log").stat().st_size == 4004
