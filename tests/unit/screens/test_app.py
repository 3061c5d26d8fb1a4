"""The page: a tab's screen is made when it is opened, and what one makes another offers."""

from __future__ import annotations

import threading

import pytest

from workbench.flow.workspace import Workspace
from workbench.screens.app import TABS, AppScreen


def opened(app, tab):
    """Asks for a tab as a page does, and returns its screen when it is open."""
    there = threading.Event()
    leave = app.subscribe(lambda news: there.set() if "opened" in news else None)
    app.do("enter", {"values": {"selected": tab}})
    assert app.opened == tab or there.wait(60)
    leave()
    return app.tab(tab)


@pytest.fixture
def empty(tmp_path):
    app = AppScreen(Workspace(tmp_path / ".workbench", inline=True), "data")
    yield app
    app.close()


def test_every_tab_opens_in_an_empty_workspace(empty):
    for tab in TABS:
        assert opened(empty, tab).banner is None
    assert empty.banner is None
    assert "cannot set 'selected'" in str(empty.do("enter", {"values": {"selected": "x"}}))
    assert empty.opened == TABS[-1]


def test_data_that_was_loading_when_the_train_tab_opened_is_offered_there(empty):
    training = opened(empty, "train")
    assert training.form["datasets"] == []
    empty.tab("data").do("load", {"source": "digits", "values": {}})
    (offered,) = training.form["datasets"]
    assert offered["ref"] == empty.tab("data").facts["ref"]


def test_a_run_that_shall_be_compressed_opens_as_a_study(road):
    app = AppScreen(road.workspace, "train")
    training = app.tab("train")
    training.attach(road.run)
    assert "error" not in training.do("study")
    assert app.selected == "compress"
    assert app.tab("compress").facts["ref"] == road.study.ref
    app.close()


def test_a_read_only_page_has_read_only_tabs(road):
    app = AppScreen(road.workspace, "data", is_readonly=True)
    for tab in TABS:
        assert app.tab(tab).state()["is_readonly"] is True
    assert "promote" not in app.tab("models").commands
    app.close()
