"""What a person reads after a deploy: what has changed, where to look, how long it took, where the log is."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.sentences import way_back, went_back
from llmdeploy.view.tables import checks_table
from llmdeploy.view.words import HOST, LEVEL, SERVICE, count, names, seconds


def deploy(data: Data, unicode: bool) -> Lines:
    """`environment`, `verdict`, and where known: `action`, `target` (of a rollback), `release` (the engine's end line),
    `changed` (host → steps), `unreachable`, `addresses` (`[{service, url}]`), `checks`, `seconds`, `log`.
    """
    verdict = str(data.get("verdict", ""))
    release = data.get("release") or {}
    good = verdict in _GOOD and not data.get("unreachable")
    look = SERVICE["done"] if good else LEVEL["warning"] if verdict in _CALM else HOST["failed"]
    took = f" in {seconds(float(data['seconds']))}" if data.get("seconds") and verdict not in _CALM else ""
    number = f" (release {release['number']})" if release.get("number") else ""
    back = f"; {way_back(release['taken_back'])}" if release.get("taken_back") else ""
    yield Text()
    sign = look.sign if unicode else look.ascii
    yield Text(f"{sign} {data.get('environment')}: {_ending(data, verdict)}{took}{number}{back}", look.style)
    grid = Grid("", "", unicode=unicode)
    for title, text in _facts(data, release, good):
        grid.row(Text(title, "dim"), text)
    if grid.table.row_count:
        yield grid.table
    failed = [check for check in data.get("checks", []) if not check["ok"]]
    if failed:
        yield from checks_table(failed, unicode)


_GOOD = ("done", "unchanged", "successful", "idle")
_CALM = ("unsure", "stopped", "stopping", "detached", "interrupted")
_DONE = {"update": "updated", "scale": "scaled"}
_BACK = {"rollback": "rolled back", "abort": "taken back"}
_VERDICTS = {
    "unchanged": "nothing to change",
    "idle": "nothing is under way",
    "unhealthy": "not healthy",
    "deadline": "the time limit has passed",
    "locked": "locked by another run",
    "conflict": "somebody else changed the cluster meanwhile",
    "detached": "detached, the release goes on",
    "stopping": "stopping, on the manager",
    "unsure": "stopped, the manager does not answer",
    "interrupted": "interrupted before the release began",
    "rolled-back": "failed",
}


def _ending(data: Data, verdict: str) -> str:
    """How it ended, in a few words."""
    if verdict not in ("done", "successful"):
        return _VERDICTS.get(verdict, verdict)
    action = str(data.get("action") or (data.get("job") or {}).get("action") or "")
    if action in _BACK:
        return f"{_BACK[action]}{f' to release {target}' if (target := data.get('target')) else ''}"
    return _DONE.get(action, "deployed")


def _facts(data: Data, release: Data, good: bool) -> Iterator[tuple[str, Text | str]]:
    changed, done = release.get("changed") or [], release.get("done") or []
    back = release.get("taken_back")
    for title, found in (
        ("changed", [] if back else changed),
        ("done", [] if back or sorted(done) == sorted(changed) else done),
        ("not touched", release.get("untouched") or []),
    ):
        if found:
            yield title, names(found, 20)
    yield from went_back(back)
    for host, steps in (data.get("changed") or {}).items():
        yield f"on {host}", names(steps)
    checks = data.get("checks") or []
    if checks:
        yield "checks", f"{sum(bool(check['ok']) for check in checks)} of {count(len(checks), 'check')} ok"
    for address in (data.get("addresses") or []) if good else []:
        yield address["service"], Text(address["url"], "underline")
    if data.get("log"):
        yield "log", str(data["log"])
