from __future__ import annotations

from workbench.data.folder import list_folder
from workbench.data.modalities import MODALITIES

PICTURES = MODALITIES.get("image").files


def test_a_folder_is_listed_without_reading(picture_folder):
    root = picture_folder(count=12)
    listed = list_folder(root, PICTURES)
    assert len(listed.files) == 12
    assert listed.files == tuple(sorted(listed.files))
    assert not listed.is_settled
    assert list_folder(root, PICTURES).state == listed.state
    (root / listed.files[0]).touch()
    assert list_folder(root, PICTURES).state != listed.state
