"""What the page tells the kernel while a slider moves, by the page's own code in node."""

from __future__ import annotations

from tests.unit.widgets.node import in_node

PANEL = """
const data = { state: { ref: "a" }, knobs: {}, estimate: {} }, seen = [], sent = [], saved = [];
const panel = {
  get: (name) => data[name], send: (name, args) => sent.push(args.recipe), cleanup() {},
  on: (name, then) => { seen.push(then); then(); },
  model: {
    set(name, value) { data[name] = value; seen.forEach((then) => then()); },
    save_changes: () => saved.push(data.knobs),
  },
};
const rest = () => new Promise((done) => setTimeout(done, 2 * REST_MS));
"""


def test_the_kernel_is_told_where_sliders_stand_once_they_rest():
    moves = 'const keep = kept(panel, "knobs"); for (let i = 0; i < 9; i += 1) keep({ i });'
    during, after = in_node(
        "study_estimate", f"{PANEL}{moves}", "[[...saved], await rest().then(() => saved)]"
    )
    assert during == []
    assert after == [{"i": 8}]


def test_an_echo_of_an_older_place_does_not_move_a_slider_back():
    moves = 'const keep = kept(panel, "knobs"); keep({ i: 1 }); keep({ i: 2 });'
    echo = 'panel.model.set("knobs", { i: 1 });'
    assert in_node("study_estimate", f"{PANEL}{moves}{echo}", "data.knobs") == {"i": 2}


def test_another_study_brings_its_own_places():
    code = f"""{PANEL}kept(panel, "knobs")({{ i: 1 }});
data.state = {{ ref: "b" }}; panel.model.set("knobs", {{}});"""
    assert in_node("study_estimate", code, "data.knobs") == {}


def test_what_the_page_computes_itself_is_asked_of_the_kernel_once_the_slider_rests():
    asks = "const asking = asker(panel); for (const r of [1, 2]) asking.ask(`prune:0.${r}`, true);"
    during, after = in_node(
        "study_estimate", f"{PANEL}{asks}", "[[...sent], await rest().then(() => sent)]"
    )
    assert during == []
    assert after == ["prune:0.2"]


def test_what_only_the_kernel_can_say_is_asked_at_once_and_one_question_at_a_time():
    asks = "const asking = asker(panel); for (const r of [1, 2, 3]) asking.ask(`clip:${r}`, false);"
    answer = 'data.estimate = { asked: "clip:1" }; asking.answered();'
    during, after = in_node(
        "study_estimate",
        f"{PANEL}{asks}const first = [...sent];{answer}",
        "[first, await rest().then(() => sent)]",
    )
    assert during == ["clip:1"]
    assert after == ["clip:1", "clip:3"]
