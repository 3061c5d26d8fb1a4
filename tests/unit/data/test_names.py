from __future__ import annotations

import pytest

from workbench.data.names import dataset_name


@pytest.mark.parametrize(
    ("text", "name"),
    [("客户 流失", "客户-流失"), ("a/b c", "a-b-c"), ("..", "data"), ("x.1", "x.1")],
)
def test_names(text, name):
    assert dataset_name(text) == name
