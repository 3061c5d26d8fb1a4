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
