"""The table of `make bench-estimator`: a seed that misses a goal is a miss, and says why."""

from __future__ import annotations

from tests.benchmarks.estimator_table import PICTURE, markdown, reasons, row


def rows() -> dict[str, dict[str, object]]:
    return {
        "coverage after 5": row([0.95, 0.85], "≥", 0.88),
        "quick look, CPU-s each": row([0.06, 0.07], "≤", 0.08),
        "recipes below 5": row([70, 60], "", 0.0),
        PICTURE: row([0.05, 0.05], "", 0.0),
    }


def test_the_worst_seed_decides():
    found = rows()
    assert found["coverage after 5"]["met"] is False
    assert found["coverage after 5"]["worst"] == 0.85
    assert found["quick look, CPU-s each"]["met"] is True
    assert found["recipes below 5"]["met"] is None


def test_a_miss_is_bold_and_has_its_reason():
    text = markdown({"machine": "here", "cases": {"net": {"about": "2 seeds", "rows": rows()}}})
    assert "| coverage after 5 | ≥ 0.88 | **0.9 (worst 0.85), missed** |" in text
    assert "| quick look, CPU-s each | ≤ 0.08 | 0.065 (worst 0.07) |" in text
    assert "- net: coverage after 5: its seeds gave 0.95, 0.85; at the fewest 60 recipes" in text
    assert len(reasons(rows())) == 1
