"""An endpoint's first picture does not wait for imports."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import io, sys
from workbench.data import picture_file, pictures
from workbench.data.modalities import MODALITIES

MODALITIES.get("image").prepare()
made = {form: io.BytesIO() for form in ("PNG", "JPEG")}
for form, file in made.items():
    picture_file.pillow().new("RGB", (9, 7)).save(file, form)
before = set(sys.modules)
for file in made.values():
    pictures.picture_array(picture_file.open_picture(file.getvalue()), 1, (4, 4), "stretch")
print(sorted(set(sys.modules) - before))
"""


def test_decoding_after_it_was_prepared_imports_nothing_more():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
