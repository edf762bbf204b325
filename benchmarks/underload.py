"""A load in a process of its own beside what is measured, and what it has seen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load.asks import KINDS
from benchmarks.load.tally import Tally
from benchmarks.timing import FailedRunError

CHECKOUT = Path(__file__).resolve().parents[1]
END = 60.0  # seconds for the last answers


class Load:
    """A running load; `tally` is there once it has ended."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self._process, self._out = process, out
        self.tally = Tally()

    def end(self) -> None:
        """Send nothing more, wait for the last answers, read what was seen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise FailedRunError("the load does not end") from None
        if not self._out.exists():
            raise FailedRunError(f"the load has ended with {self._process.returncode} and left no figures")
        self.tally = Tally.from_json(json.loads(self._out.read_text()))


@contextmanager
def load(hosts: Sequence[str], rates: Mapping[str, float]) -> Iterator[Load]:
    """Send to these hosts during the block. What is lost is printed as it happens."""
    with TemporaryDirectory(prefix="llmdeploy-load-") as folder:
        out = Path(folder) / "tally.json"
        words = [word for kind in KINDS for word in (f"--{kind}", str(rates.get(kind, 0)))]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", *hosts, *words, "--out", str(out)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the measurement, which then ends the load
        )
        assert process.stdout is not None
        found = Load(process, out)
        try:
            process.stdout.readline()  # it says when it begins
            yield found
            found.end()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
