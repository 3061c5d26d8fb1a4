"""`make soak`, short: load with swaps of version, and every fault once; fuzzing: test_fuzz.py."""

import pytest

from tests.soak import faults, load

pytestmark = pytest.mark.full


def test_no_request_fails_while_versions_change_under_load(tmp_path, capsys):
    assert load.run(tmp_path, requests=20_000, swaps=10)
    assert ", 0 errors, 10 swaps" in capsys.readouterr().out


def test_whatever_fails_the_others_go_on(tmp_path, capsys):
    assert faults.run(tmp_path, rounds=1)
    assert "BROKEN" not in capsys.readouterr().out
