"""The bar of a long verb, in a notebook's cell and elsewhere."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

from workbench.flow.progress import Bar

BARS = """
import threading
from workbench.flow.progress import Bar
going_on, other = Bar("train"), Bar("load")
going_on.set(1, 4, "epoch <1>")
with Bar("measure") as ended:
    ended.set(1, 3, "building")
reader = threading.Thread(target=other.set, args=(1, 2))
reader.start(); reader.join()
"""


def test_a_cell_shows_how_far_it_is_and_nothing_remains(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BARS)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    going_on, ended = (output.data for output in notebook.cells[0].outputs)
    assert going_on["text/plain"].startswith("train · epoch <1> · 25% · 0 s")
    assert 'value="1" max="4"' in going_on["text/html"]
    assert "epoch &lt;1&gt;" in going_on["text/html"]
    assert ended == {"text/plain": "", "text/html": ""}


def test_in_a_script_whose_output_is_a_file_it_is_silent(capfd):
    with Bar("load") as bar:
        bar.set(1, 2, "reading")
    assert capfd.readouterr() == ("", "")
