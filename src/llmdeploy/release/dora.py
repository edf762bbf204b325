"""The four keys of DORA (https://dora.dev/guides/dora-metrics-four-keys/) out of the releases of one stack. Pure.

A deployment is a release of action deploy or update that has ended, whatever came of it. What DORA calls the production
is the stack.

deployment frequency   deployments per day, from the first release that is counted until now
lead time for changes  from the commit (git's committer date) to the end of the first good deployment at that revision
change failure rate    deployments that failed, were rolled back or interrupted, or that a rollback undid soon after
                       (it went to an older release, and began within so many hours of their end), of all deployments
recovery time          from the end of a failed deployment to the end of the next good release that was not undone
                       itself, whatever its action; where a rollback undid it, not before that rollback. One that was
                       taken back whole has recovered at its own end, and as nobody noted when in it things went wrong,
                       all of it counts, from its start. So does one whose end nobody could write down.

Left out of the lead time: releases without the time of their commit (older ones, or no git), those with uncommitted
changes (what they brought has no commit), and a revision's second deployment (it brought no new commit).

Only the newest unbroken row of numbers is counted: what is kept from before a gap is there because a rollback could
need it, and would make every rate too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from statistics import median
from typing import Any

from llmdeploy.engine.ledger import Releases

DEPLOYMENTS = ("deploy", "update")
GOOD, BACK = "good", "rolled back"
WITHIN = 24 * 3600.0  # seconds in which a rollback makes the deployment before it a failed one
FEW = 5  # a figure that rests on less means nothing: one release more or less changes it altogether
DAY = 86400.0
Row = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """A release that has ended. Times are seconds since 1970; `finished` is None where nobody could write it."""

    number: int
    action: str
    verdict: str
    started: float
    finished: float | None = None
    target: int = 0
    git: str = ""
    git_time: int = 0
    dirty: bool = False

    @property
    def end(self) -> float:
        """When it ended, as far as is known."""
        return self.started if self.finished is None else self.finished


@dataclass(frozen=True)
class Failure:
    """A deployment that failed: why, and which release made it good again after how many seconds (None: none yet)."""

    number: int
    why: str
    undone_by: int | None = None
    recovered_by: int | None = None
    seconds: float | None = None


def four_keys(releases: Releases, now: float, within: float = WITHIN, left_open: int | None = None) -> Row:
    """In: `{number: labels}` of the ledger, the time, and which release nobody has ended. Out, all JSON-serialisable:

    first, last, kept          the releases that are counted, of how many that are kept; `cut`: there were ones before
    since, until, days         from when to when
    within, few                the limits: of a rollback in seconds, of a figure in releases
    deployment_frequency       `{releases, good, per_day, too_few}`; no rate in less than a day
    lead_time                  `{releases, median, worst, too_few, left_out: {no_time, uncommitted, same_commit}}`
    change_failure_rate        `{releases, failed, rate, too_few}`
    recovery_time              `{releases, median, worst, too_few, not_yet}`
    failures                   `[{number, why, undone_by, recovered_by, seconds}]`, the oldest first

    Times are seconds. A figure that rests on no release is None; `too_few`: on less than `few`.
    """
    numbers = unbroken(releases)
    read = (ended(number, releases[number], left_open=number == left_open) for number in numbers)
    known = [one for one in read if one]
    made = [one for one in known if one.action in DEPLOYMENTS]
    failed = failures(known, within)
    since = min((one.started for one in known), default=now)
    until = max([now, *(one.end for one in known)])  # the cluster's clock may be ahead of ours
    return {
        "first": numbers[0] if numbers else None,
        "last": numbers[-1] if numbers else None,
        "kept": len(releases),
        "cut": bool(numbers) and numbers[0] > 1,
        "since": _iso(since),
        "until": _iso(until),
        "days": round((until - since) / DAY, 2),
        "within": within,
        "few": FEW,
        "deployment_frequency": _frequency(made, until - since),
        "lead_time": _lead_time(made),
        "change_failure_rate": {
            **_rests_on(len(made)),
            "failed": len(failed),
            "rate": round(len(failed) / len(made), 4) if made else None,
        },
        "recovery_time": _recovery(failed),
        "failures": [asdict(one) for one in failed],
    }


def unbroken(numbers: Iterable[int]) -> list[int]:
    """The newest of the numbers between which none is missing, in their order."""
    row: list[int] = []
    for number in sorted(numbers, reverse=True):
        if row and number != row[-1] - 1:
            break
        row.append(number)
    return row[::-1]


def ended(number: int, labels: Mapping[str, str], *, left_open: bool = False) -> Ended | None:
    """A release by its labels; None while it is under way, or when it does not say when it began.

    One that was left open is interrupted: the next run will write so.
    """
    verdict = "interrupted" if left_open else labels.get("verdict", "")
    started = _moment(labels.get("started", ""))
    if verdict in ("", "running") or started is None:
        return None
    return Ended(
        number,
        labels.get("action", ""),
        verdict,
        started,
        _moment(labels.get("finished", "")),
        target=_number(labels.get("target", "")),
        git=labels.get("git", ""),
        git_time=_number(labels.get("git_time", "")),
        dirty=bool(labels.get("dirty")),
    )


def failures(releases: Sequence[Ended], within: float) -> list[Failure]:
    """The deployments that failed, of releases in their order."""
    undone = {one.number: by for one in releases if (by := _undone_by(one, releases, within))}
    bad = [one for one in releases if one.action in DEPLOYMENTS and (one.verdict != GOOD or one.number in undone)]
    healing = [one for one in releases if one.verdict == GOOD and one.number not in undone]
    return [_failure(one, undone.get(one.number), healing) for one in bad]


def _undone_by(one: Ended, releases: Sequence[Ended], within: float) -> int | None:
    """The first rollback that took a good deployment away again, if that was soon."""
    if one.action not in DEPLOYMENTS or one.verdict != GOOD:
        return None
    for other in releases:
        if other.number > one.number and other.action == "rollback" and other.target < one.number:
            return other.number if other.started - one.end <= within else None
    return None


def _failure(one: Ended, undone_by: int | None, healing: Sequence[Ended]) -> Failure:
    if one.verdict == BACK:
        return Failure(one.number, one.verdict, None, one.number, max(one.end - one.started, 0.0))
    why = "undone" if undone_by else one.verdict
    healed = next((other for other in healing if other.number >= (undone_by or one.number + 1)), None)
    if healed is None:
        return Failure(one.number, why, undone_by)
    return Failure(one.number, why, undone_by, healed.number, max(healed.end - one.end, 0.0))


def _frequency(made: Sequence[Ended], seconds: float) -> Row:
    per_day = round(len(made) * DAY / seconds, 4) if made and seconds >= DAY else None
    return {**_rests_on(len(made)), "good": sum(one.verdict == GOOD for one in made), "per_day": per_day}


def _lead_time(made: Sequence[Ended]) -> Row:
    left_out = {"no_time": 0, "uncommitted": 0, "same_commit": 0}
    found: dict[str, float] = {}
    for one in made:
        if one.verdict != GOOD:
            continue
        if not one.git or not one.git_time:
            left_out["no_time"] += 1
        elif one.dirty:
            left_out["uncommitted"] += 1
        elif one.git in found:
            left_out["same_commit"] += 1
        else:
            found[one.git] = max(one.end - one.git_time, 0.0)
    return {**_times([*found.values()]), "left_out": left_out}


def _recovery(failed: Sequence[Failure]) -> Row:
    found = [one.seconds for one in failed if one.seconds is not None]
    return {**_times(found), "not_yet": len(failed) - len(found)}


def _times(found: Sequence[float]) -> Row:
    return {
        **_rests_on(len(found)),
        "median": round(median(found), 1) if found else None,
        "worst": round(max(found), 1) if found else None,
    }


def _rests_on(number: int) -> Row:
    return {"releases": number, "too_few": number < FEW}


def _moment(text: str) -> float | None:
    """In: a time of a release, as the engine writes it. Out: seconds since 1970, None where it is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
