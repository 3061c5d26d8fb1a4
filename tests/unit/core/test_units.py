"""Sizes and durations as people write them."""

import pytest

from workbench.core.errors import InputError
from workbench.core.units import parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("60 kB", 60_000), ("60kb", 60_000), (60000, 60_000), ("1.5 MB", 1_500_000), ("2 KiB", 2048)],
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("60 s", 60), (60, 60), ("2 min", 120), ("1,5 h", 5400), ("250ms", 0.25)]
)
def test_durations(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("bad", ["", "ten", "10 parsecs", -3, 0, "0 s", float("nan"), True, None])
def test_what_is_no_duration_says_what_would_be_right(bad):
    with pytest.raises(InputError, match="'2 min'"):
        parse_seconds(bad)
