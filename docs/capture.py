"""Draw docs/deploy.svg from the events of a real deploy.

llmdeploy staging deploy --json > docs/deploy.jsonl
python docs/capture.py docs/deploy.jsonl docs/deploy.svg --command "llmdeploy staging deploy"

The events go through the live view's own model and frame, and the result through its own table, so the picture is what
the terminal has shown at the end. The home folder is shortened to `~`.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console  # noqa: TID251 (draws what the view draws)
from rich.terminal_theme import MONOKAI  # noqa: TID251
from rich.text import Text  # noqa: TID251

from llmdeploy import events
from llmdeploy.view.frame import Frame
from llmdeploy.view.kinds import KINDS
from llmdeploy.view.model import Run

WIDTH = 84
KINDS_OF_EVENTS = {kind.kind: kind for kind in (events.PhaseStarted, events.HostStep, events.HostProblem, events.Note)}


def event(line: dict[str, Any]) -> events.Event | None:
    """The event that was printed as `line`."""
    kind = KINDS_OF_EVENTS.get(line["kind"])
    if kind is None:
        return events.parse_progress(line)
    return kind(**{key: value for key, value in line.items() if key != "kind"})


def draw(recording: Path, command: str) -> Console:
    """A console that has recorded the end of the run."""
    *lines, envelope = (json.loads(line) for line in recording.read_text().splitlines())
    run = Run(lines[0]["t"])
    for line in lines:
        found = event(line)
        if found:
            run.apply(found, line["t"])
    run.close(lines[-1]["t"])
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ ", "bold green").append(command, "bold default"))
    for row in Frame(envelope["command"], WIDTH, 60, unicode=True, final=True).lines(run, lines[-1]["t"]):
        console.print(row, no_wrap=True, overflow="crop")
    data = envelope["data"]
    data["log"] = str(data.get("log", "")).replace(str(Path.home()), "~")
    for part in KINDS["deploy"](data, True):
        console.print(part)
    return console


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--command", default="llmdeploy staging deploy")
    options = parser.parse_args()
    svg = draw(options.recording, options.command).export_svg(
        title="llmdeploy", theme=MONOKAI, unique_id="llmdeploy-deploy"
    )
    options.picture.write_text(svg)


if __name__ == "__main__":
    main()
