from __future__ import annotations

from workbench.compression.front import pareto_front


def test_only_unbeaten_points_stay():
    points = [(3, 0.9), (1, 0.5), (2, 0.8), (2, 0.7), (4, 0.9), (1, 0.5), (5, 0.95)]
    front = pareto_front(points, lambda p: p[0], lambda p: p[1])
    assert front == [(1, 0.5), (2, 0.8), (3, 0.9), (5, 0.95)]
    beaten = [p for p in points if p not in front]
    assert all(any(f[0] <= p[0] and f[1] >= p[1] for f in front) for p in beaten)


def test_nothing_has_an_empty_front():
    assert pareto_front([], lambda p: p, lambda p: p) == []
