"""Runs llmdeploy in this process and says which parts the time went to: `python -m benchmarks.inside ENV ACTION …`.

Everything is imported before, so the parts are without imports. Time counts for the innermost part that is under way
in the main thread; what belongs to no part is "the rest". The last line of the output is the parts as JSON.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import Any

ROOMS = ("cli", "cluster", "config", "engine", "release", "render", "run", "view")
# Part → the functions whose time it is. Of a context manager, entering and leaving count.
PARTS = {
    "configuration: read, check": ["config.load"],
    "job, images' hashes": ["cli.making.make_job"],
    "run directory: written, removed": ["render.rundir.run_directory", "render.rundir.render"],
    "all hosts over ssh, at once": ["cluster.look.look"],
    "manager: reached": ["cluster.live.manager"],
    "manager: Docker's socket": ["cluster.relay.docker_socket"],
    "manager: Docker's first answers": ["engine.api.Docker.__init__", "engine.api.Docker.hosts"],
    "manager: reading the cluster": ["cluster.live.read", "engine.compare.compare"],
    "verify: all checks": ["cluster.verify.verify"],
    "closing ssh": ["cluster.access.close"],
    "showing the result": ["view.show_outcome"],
}
REST = "the rest"


class Clock:
    """A stack of parts; the innermost one takes the time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stack = [REST]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the block for `name`."""
        self._turn()
        self._stack.append(name)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def end(self) -> dict[str, float]:
        """Return the parts, the longest first."""
        self._turn()
        return dict(sorted(self.seconds.items(), key=lambda item: -item[1]))

    def watch(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function with its time counted for `name`."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*args, **kwargs)
            with self.part(name):
                result = function(*args, **kwargs)
            return _Counted(self, name, result) if isinstance(result, AbstractContextManager) else result

        return counted


class _Counted(AbstractContextManager[Any]):
    """A context manager whose entering and leaving count, and not what is between."""

    def __init__(self, clock: Clock, name: str, inner: AbstractContextManager[Any]) -> None:
        self._clock, self._name, self._inner = clock, name, inner

    def __enter__(self) -> Any:
        with self._clock.part(self._name):
            return self._inner.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        with self._clock.part(self._name):
            return self._inner.__exit__(*error)


def main() -> None:
    """Import everything, put the clock in, run the command line."""
    for room in ROOMS:
        package = importlib.import_module(f"llmdeploy.{room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"llmdeploy.{room}.{module.name}")
    clock = Clock()
    for name, functions in PARTS.items():
        for function in functions:
            _replace(function, lambda found, name=name: clock.watch(found, name))  # type: ignore[misc]
    command_line = importlib.import_module("llmdeploy.cli.main")
    clock.end()
    clock.seconds.clear()
    try:
        code = command_line.main()
    finally:
        print(json.dumps(clock.end()))
    sys.exit(code)


def _replace(path: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put the changed function wherever the function itself is known by now."""
    words = path.split(".")
    place: Any = importlib.import_module(".".join(["llmdeploy", *[word for word in words[:-1] if word.islower()]]))
    for word in words[:-1]:
        if not word.islower():
            place = getattr(place, word)
    found = getattr(place, words[-1])
    changed = change(found)
    setattr(place, words[-1], changed)
    for module in [one for name, one in sys.modules.items() if name.startswith("llmdeploy")]:
        for name, value in list(vars(module).items()):
            if value is found:
                setattr(module, name, changed)


if __name__ == "__main__":
    main()
