import pytest

from workbench.core.errors import InputError
from workbench.core.files import writing


def test_what_cannot_be_written_is_said_with_its_reason(tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "结果.html"
    words = r"结果\.html' cannot be written: Not a directory"
    with pytest.raises(InputError, match=words), writing(target):
        target.write_text("x")
