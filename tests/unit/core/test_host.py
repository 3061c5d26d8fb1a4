import subprocess
import sys

from workbench.core.host import FileLock, is_locked, peak_bytes, process_start

HOLD = """
import sys
from pathlib import Path
from workbench.core.host import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_free_again_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        assert not FileLock(path).try_acquire()
        holder.kill()
    assert not is_locked(path)


def test_a_process_is_told_from_a_later_one_and_from_its_own_remains():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with child:
        began = process_start(child.pid)
        assert began
        assert process_start(child.pid) == began
        child.kill()
        while process_start(child.pid):  # until the system has ended it; it is not yet reaped
            pass
    assert process_start(child.pid) is None


def test_the_peak_memory_of_a_process_is_its_own_and_not_that_of_who_started_it():
    """`getrusage` tells the starter's, which is in force until the new program is loaded."""
    occupied = bytearray(b"x") * 150_000_000
    code = "from workbench.core.host import peak_bytes; print(peak_bytes())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert 1_000_000 < int(told.stdout) < len(occupied) < peak_bytes()
