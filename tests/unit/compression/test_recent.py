from __future__ import annotations

from workbench.compression.recent import Recent


def test_the_last_ones_are_remembered():
    made = []
    recent: Recent[str] = Recent(2)

    def get(key: str) -> str:
        return recent.get(key, lambda: made.append(key) or key.upper())

    assert [get(key) for key in "abab"] == ["A", "B", "A", "B"]
    assert made == ["a", "b"]
    get("a"), get("c"), get("a"), get("b")
    assert made == ["a", "b", "c", "b"]
