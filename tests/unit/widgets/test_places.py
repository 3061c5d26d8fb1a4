"""Where things of the scatter stand, computed by the page's own code in node."""

from __future__ import annotations

import json

import pytest

from tests.unit.widgets.node import in_node

BOX = {"left": 2, "right": 438, "top": 6, "bottom": 338}
SIZE = {"width": 130, "height": 30}


def placed(point: tuple[float, float], marks: list[tuple[float, float, float]], before: str = ""):
    at = {"x": point[0], "y": point[1]}
    rounds = [{"x": x, "y": y, "r": r} for x, y, r in marks]
    args = ", ".join(json.dumps(part) for part in (at, SIZE, rounds, BOX, before))
    return in_node("study_places", "", f"placeWords({args})")


def distance(place: dict[str, float], x: float, y: float) -> float:
    dx = max(place["left"] - x, 0, x - place["left"] - SIZE["width"])
    dy = max(place["top"] - y, 0, y - place["top"] - SIZE["height"])
    return (dx**2 + dy**2) ** 0.5


@pytest.mark.parametrize(
    ("point", "marks"),
    [
        ((120, 200), []),
        ((120, 200), [(200, 200, 7), (190, 185, 7)]),
        ((380, 150), [(300, 150, 12), (310, 130, 7), (300, 170, 7), (290, 190, 7)]),
        ((220, 10), [(300, 12, 7), (150, 12, 7)]),
        ((60, 330), [(x, 330, 7) for x in range(80, 400, 20)]),
    ],
)
def test_the_words_of_an_estimate_cover_no_measured_point_and_stay_inside(point, marks):
    place = placed(point, marks)
    assert all(distance(place, x, y) >= r for x, y, r in marks)
    assert distance(place, *point) >= 8, "its own marker is covered"
    assert BOX["left"] <= place["left"] <= BOX["right"] - SIZE["width"]
    assert BOX["top"] <= place["top"] <= BOX["bottom"] - SIZE["height"]


def test_the_words_stay_where_they_were_while_the_point_moves_a_little():
    first = placed((225, 200), [])
    again = placed((215, 200), [], first["key"])
    assert again["key"] == first["key"] != placed((215, 200), [])["key"]


@pytest.mark.parametrize("scores", [[1.0, 0.97], [0.0, 0.4], [0.5, 0.5], [1.0, 1.0], [0.913, 0.9]])
def test_the_axis_of_a_share_ends_at_steps_around_all_scores(scores):
    low, high = in_node("study_places", "", f"heights({json.dumps(scores)}, true)")
    assert 0 <= low <= min(scores) <= max(scores) <= high <= 1
    assert low < high
    assert [100 * low % 1, 100 * high % 1] == pytest.approx([0, 0], abs=1e-6)


def test_a_guess_beyond_what_was_measured_moves_the_end_in_steps():
    guesses = "[0, 50, 100, 101, 105, 117].map((guess) => farthest([40, 100], guess))"
    ends = in_node("study_places", "", guesses)
    assert ends == pytest.approx([100, 100, 100, 110, 110, 120])
