import sqlite3

import pytest

from workbench.core.errors import IntegrityError


@pytest.fixture
def log(store):
    for number in range(3):
        store.audit.record("promote", "model:x@champion", {"to": number}, actor="ann")
    return store.audit


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'bob'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 2, time, 'bob', action, subject, data, previous, "
        "hash, signature FROM audit WHERE id = 2",
    ],
)
def test_the_log_only_grows(log, store, sql):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store.db.execute(sql)
    assert log.verify() == 3


@pytest.mark.parametrize(
    "sql", ["UPDATE audit SET actor = 'bob' WHERE id = 2", "DELETE FROM audit WHERE id = 2"]
)
def test_a_change_behind_its_back_is_noticed(log, store, sql):
    with sqlite3.connect(store.home.database) as outside:
        outside.execute("DROP TRIGGER audit_never_changes")
        outside.execute("DROP TRIGGER audit_never_forgets")
        outside.execute(sql)
    with pytest.raises(IntegrityError, match="broken at entry"):
        log.verify()


def test_entries_tell_who_did_what(log):
    last = log.entries("model:x@champion")[-1]
    assert (last.actor, last.action, last.data) == ("ann", "promote", {"to": 2})
