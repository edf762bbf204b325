"""Progress lines: written whole, read by several viewers, and honest about an engine that died."""

from __future__ import annotations

import fcntl
from pathlib import Path

from llmdeploy.engine.progress import Progress, alive, follow, harmless, read


def test_each_viewer_gets_each_line_once(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.write("service", name="a")
    with (tmp_path / "pid").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert alive(tmp_path)
        assert [line["name"] for line in follow(tmp_path, "ana", 0)] == ["a"]
        progress.write("service", name="b")
        assert [line["name"] for line in follow(tmp_path, "ana", 0)] == ["b"]
        assert [line["name"] for line in follow(tmp_path, "../ben", 0)] == ["a", "b"]
        assert follow(tmp_path, "ana", 0) == []


def test_half_a_line_waits(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text('{"kind": "note"}\n{"kind": "en')
    lines, offset = read(tmp_path)
    assert [line["kind"] for line in lines] == ["note"]
    assert read(tmp_path, offset) == ([], offset)


def test_a_dead_engine_is_told(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.write("service", name="a")
    first, last = follow(tmp_path, "ana", 5)
    assert first["name"] == "a"
    assert (last["kind"], last["verdict"], last["exit"]) == ("end", "failed", 1)
    assert "died" in last["summary"]


def test_the_verdict_of_an_ended_engine_can_be_had_again(tmp_path: Path) -> None:
    Progress(tmp_path).write("end", verdict="done", exit=0)
    assert [line["verdict"] for line in follow(tmp_path, "ana", 5)] == ["done"]
    assert [line["verdict"] for line in follow(tmp_path, "ana", 5)] == ["done"]


def test_terminal_escapes_are_made_harmless() -> None:
    text = harmless("a\x1b[31mred\x1b]0;title\x07\tb\r\n\u202eevil\x9b2J")
    assert not any(ord(char) < 32 and char != "\n" for char in text)
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert text.startswith("a\ufffdred")
