from __future__ import annotations

import pytest

from workbench.core.errors import InputError
from workbench.data.problems import Problems


def test_thousands_of_problems_are_counted():
    problems = Problems(f"file {i}" for i in range(1200))
    with pytest.raises(InputError) as caught:
        problems.raise_if_any("The folder")
    assert caught.value.problems[-1] == "… and 200 more"
    assert "1200 problems" in caught.value.message
    Problems().raise_if_any("Nothing")
