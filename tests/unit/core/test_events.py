from concurrent.futures import ThreadPoolExecutor

from workbench.core.events import EventReader, EventWriter, read_events


def test_a_reader_gets_each_event_once_and_waits_for_half_a_line(tmp_path):
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert list(reader.new_events()) == []
    writer = EventWriter(path)
    writer.write("metrics", step=1, 损失=0.5)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"time": "t", "kind": "metr')
    assert [(e.kind, e.data) for e in reader.new_events()] == [
        ("metrics", {"step": 1, "损失": 0.5})
    ]
    with path.open("a", encoding="utf-8") as file:
        file.write('ics", "step": 2}\n')
    assert [e.data["step"] for e in reader.new_events()] == [2]
    writer.close()
    assert len(read_events(path)) == 2


def test_a_line_torn_by_a_killed_writer_spoils_no_other(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"time": "t", "kind": "a"}\n{"time": "t", "kind": "ba', encoding="utf-8")
    writer = EventWriter(path)
    writer.write("c")
    writer.close()
    assert [e.kind for e in read_events(path)] == ["a", "c"]


def test_threads_that_share_a_reader_get_each_event_once(tmp_path):
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    for step in range(2000):
        writer.write("metrics", step=step)
    writer.close()
    reader = EventReader(path)
    with ThreadPoolExecutor(4) as pool:
        found = [e.data["step"] for part in pool.map(_all_of, [reader] * 8) for e in part]
    assert sorted(found) == list(range(2000))


def _all_of(reader):
    return list(reader.new_events())
