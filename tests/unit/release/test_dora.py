"""DORA's four keys out of a ledger: each definition, what is left out, and what always holds."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdeploy.release.dora import DAY, FEW, four_keys, unbroken

HOUR = 3600.0
ZERO = 1795456000.0  # when the histories of these tests begin
Labels = dict[str, str]


def stamp(hours: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ZERO + hours * HOUR))


def release(at: float, verdict: str = "good", action: str = "deploy", **more: Any) -> Labels:
    """A release that began so many hours after ZERO and took half an hour; `commit`: the hour of its commit."""
    labels = {"action": action, "verdict": verdict, "started": stamp(at), "finished": stamp(at + 0.5)}
    if "commit" in more:
        commit = more.pop("commit")
        labels |= {"git": f"at{commit}", "git_time": str(int(ZERO + commit * HOUR))}
    return {**labels, **{key: str(value) for key, value in more.items()}}


def rollback(at: float, to: int, verdict: str = "good") -> Labels:
    return release(at, verdict, "rollback", target=to)


def keys(*releases: Labels, first: int = 1, now: float = 240, **more: Any) -> dict[str, Any]:
    """What is made of releases `first`, `first + 1`, …, so many hours after ZERO."""
    return four_keys(dict(enumerate(releases, first)), ZERO + now * HOUR, **more)


# --- deployment frequency


def test_deployments_are_counted_whatever_came_of_them_and_nothing_else_is() -> None:
    found = keys(
        release(0), release(24, action="update"), release(48, "failed"), release(49, "rolled back"),
        release(50, "interrupted"), release(51, action="scale"), rollback(52, 2), release(53, action="abort", target=2),
        release(239, "running"),
    )  # fmt: skip
    assert found["deployment_frequency"] == {"releases": 5, "good": 2, "per_day": 0.5, "too_few": False}
    assert (found["first"], found["last"], found["days"], found["cut"]) == (1, 9, 10.0, False)
    assert (found["since"], found["until"]) == (stamp(0), stamp(240))


def test_less_than_a_day_makes_no_rate() -> None:
    assert keys(release(0), release(1), now=23.9)["deployment_frequency"]["per_day"] is None
    assert keys(release(0), release(1), now=24)["deployment_frequency"]["per_day"] == 2.0


def test_a_clock_of_ours_that_is_late_does_not_shorten_the_time() -> None:
    found = keys(release(0), release(47.5), now=2)
    assert (found["days"], found["deployment_frequency"]["per_day"]) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("numbers", "row"), [([], []), ([3], [3]), ([3, 1, 2], [1, 2, 3]), ([4, 9, 8], [8, 9]), ([1, 3, 5, 6], [5, 6])]
)
def test_only_the_newest_unbroken_row_counts(numbers: list[int], row: list[int]) -> None:
    assert unbroken(numbers) == row


def test_a_release_kept_for_a_rollback_is_not_counted_and_that_is_told() -> None:
    releases = {3: release(-10_000), 31: release(0, "failed"), 32: release(120, "failed")}
    found = four_keys(releases, ZERO + 240 * HOUR)
    assert (found["first"], found["last"], found["kept"], found["cut"]) == (31, 32, 3, True)
    assert found["deployment_frequency"]["per_day"] == 0.2


@pytest.mark.parametrize(("first", "cut"), [(1, False), (2, True)])
def test_a_history_that_does_not_begin_with_1_is_cut(first: int, cut: bool) -> None:
    assert keys(release(0), release(1), first=first)["cut"] is cut


def test_a_history_without_releases() -> None:
    found = keys()
    assert (found["first"], found["kept"], found["cut"], found["days"]) == (None, 0, False, 0.0)
    assert found["change_failure_rate"] == {"releases": 0, "failed": 0, "rate": None, "too_few": True}


# --- lead time for changes


def test_from_the_commit_to_the_end_of_the_good_deployment() -> None:
    found = keys(release(1, commit=0), release(4, commit=2), release(20, action="update", commit=0.5))
    assert found["lead_time"] == {
        "releases": 3, "median": 2.5 * HOUR, "worst": 20 * HOUR, "too_few": True,
        "left_out": {"no_time": 0, "uncommitted": 0, "same_commit": 0},
    }  # fmt: skip


def test_what_is_left_out_is_counted() -> None:
    found = keys(
        release(1, commit=0), release(2, commit=0), release(3, commit=2, dirty="yes"), release(4, git="1a2b3c4"),
        release(5), release(6, "failed", commit=5), release(7, action="scale", commit=5), rollback(8, 1),
    )["lead_time"]  # fmt: skip
    assert (found["releases"], found["median"]) == (1, 1.5 * HOUR)
    assert found["left_out"] == {"no_time": 2, "uncommitted": 1, "same_commit": 1}


def test_a_deployment_that_failed_leaves_its_commit_to_the_next() -> None:
    assert keys(release(1, "failed", commit=0), release(9.5, commit=0))["lead_time"]["worst"] == 10 * HOUR


def test_a_commit_of_a_clock_that_is_ahead_took_no_time() -> None:
    assert keys(release(1, commit=5))["lead_time"]["worst"] == 0.0


# --- change failure rate


@pytest.mark.parametrize(
    ("releases", "failed"),
    [
        ([release(0), release(1)], {}),
        ([release(0), release(1, "failed")], {2: "failed"}),
        ([release(0), release(1, "rolled back"), release(2, "interrupted")], {2: "rolled back", 3: "interrupted"}),
        # undone: by a rollback that went further back than to it, soon
        ([release(0), release(1), rollback(2, 1)], {2: "undone"}),
        ([release(0), release(1), rollback(25.5, 1)], {2: "undone"}),
        ([release(0), release(1), rollback(25.6, 1)], {}),
        ([release(0), release(1), release(2), rollback(3, 2)], {3: "undone"}),
        ([release(0), release(1), release(2), rollback(3, 1)], {2: "undone", 3: "undone"}),
        ([release(0), release(1), rollback(30, 1), release(31), rollback(32, 1)], {4: "undone"}),
        ([release(0), release(1), rollback(2, 1, "failed")], {2: "undone"}),
        ([release(0), release(1), rollback(2, 1), rollback(3, 2)], {2: "undone"}),
        # once only, and only deployments
        ([release(0), release(1, "failed"), rollback(2, 1)], {2: "failed"}),
        ([release(0), release(1, action="scale"), rollback(2, 1)], {}),
        ([release(0), release(1, "failed", action="scale")], {}),
        ([release(0), release(1), release(2, action="abort", target=1)], {}),
        ([release(0), release(1, "running")], {}),
    ],
)
def test_what_has_failed(releases: list[Labels], failed: dict[int, str]) -> None:
    found = keys(*releases)
    assert {one["number"]: one["why"] for one in found["failures"]} == failed
    assert found["change_failure_rate"]["failed"] == len(failed)


def test_the_rate_is_of_all_deployments() -> None:
    found = keys(release(0), release(1), rollback(2, 1), release(3), release(4, "failed"))
    assert found["change_failure_rate"] == {"releases": 4, "failed": 2, "rate": 0.5, "too_few": True}


def test_how_soon_a_rollback_must_come_can_be_said() -> None:
    releases = [release(0), release(1), rollback(11.5, 1)]
    assert [keys(*releases, within=hours * HOUR)["change_failure_rate"]["failed"] for hours in (9, 10)] == [0, 1]


def test_a_release_that_was_left_open_is_interrupted() -> None:
    releases = [release(0), {**release(1, "running"), "finished": ""}]
    assert keys(*releases)["failures"] == []
    [failure] = keys(*releases, left_open=2)["failures"]
    assert (failure["why"], failure["recovered_by"]) == ("interrupted", None)


# --- recovery time


@pytest.mark.parametrize(
    ("releases", "recovered"),
    [
        ([release(1, "failed"), release(3)], {1: (2, 2 * HOUR)}),
        ([release(0), release(1, "failed"), rollback(2, 1)], {2: (3, HOUR)}),
        ([release(0), release(1, "failed"), release(2, action="scale")], {2: (3, HOUR)}),
        ([release(0), release(1, "failed"), release(2, "failed"), release(4)], {2: (4, 3 * HOUR), 3: (4, 2 * HOUR)}),
        ([release(0), release(1, "failed")], {2: (None, None)}),
        ([release(0), release(1, "failed"), rollback(2, 1, "failed"), rollback(5, 1)], {2: (4, 4 * HOUR)}),
        # taken back whole: from its start, as nobody noted when it failed
        ([release(0), release(1, "rolled back"), release(100)], {2: (2, 0.5 * HOUR)}),
        # good and undone: not before the rollback that undid it, and it is no recovery of others
        ([release(0), release(1), rollback(5, 1)], {2: (3, 4 * HOUR)}),
        ([release(0), release(1), release(2, action="scale"), rollback(5, 1)], {2: (4, 4 * HOUR)}),
        ([release(0), release(1, "failed"), release(2), rollback(5, 1)], {2: (4, 4 * HOUR), 3: (4, 3 * HOUR)}),
        ([release(0), release(1), rollback(5, 1, "failed"), release(9)], {2: (4, 8 * HOUR)}),
        # its engine died: nobody wrote when
        ([release(0), {**release(1, "interrupted"), "finished": ""}, release(2)], {2: (3, 1.5 * HOUR)}),
    ],
)
def test_until_it_is_good_again(releases: list[Labels], recovered: dict[int, tuple[int | None, float | None]]) -> None:
    found = keys(*releases)
    assert {one["number"]: (one["recovered_by"], one["seconds"]) for one in found["failures"]} == recovered
    times = [seconds for _, seconds in recovered.values() if seconds is not None]
    back = found["recovery_time"]
    assert (back["releases"], back["worst"], back["not_yet"]) == (
        len(times), max(times, default=None), len(recovered) - len(times),
    )  # fmt: skip


def test_what_cannot_be_dated_is_not_counted() -> None:
    found = keys({"verdict": "good", "action": "deploy"}, {**release(1), "started": "yesterday"}, release(2))
    assert found["deployment_frequency"]["releases"] == 1


def test_few_are_too_few() -> None:
    def made(number: int) -> dict[str, Any]:
        return keys(*(release(at, commit=at) for at in range(number)))

    assert [made(number)["lead_time"]["too_few"] for number in (FEW - 1, FEW)] == [True, False]


# --- what always holds

ONE = st.tuples(
    st.sampled_from([0.6, 5.0, 30.0]),  # hours after the one before
    st.sampled_from(["deploy", "update", "scale", "rollback"]),
    st.sampled_from(["good", "good", "failed", "rolled back", "interrupted", "running"]),
    st.integers(0, 15),  # of a rollback: where to; of others: which commit, or none
)


def ledger(found: list[tuple[float, str, str, int]], forgotten: set[int]) -> dict[int, Labels]:
    """Releases one after the other, without some."""
    at, made = 0.0, {}
    for number, (pause, action, verdict, more) in enumerate(found, 1):
        at += pause
        made[number] = release(at, verdict, action, **({"target": more % number} if action == "rollback" else {}))
        if more % 4:
            made[number] |= {"git": f"commit{more % 4}", "git_time": str(int(ZERO + (at - more) * HOUR))}
        if verdict in ("running", "interrupted") and more % 2:
            del made[number]["finished"]
    return {number: labels for number, labels in made.items() if number not in forgotten}


LEDGERS = st.builds(ledger, st.lists(ONE, max_size=15), st.sets(st.integers(1, 15), max_size=2))
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(LEDGERS, st.floats(0, 7 * DAY), st.integers(0, 1000))
def test_figures_fit_together(releases: dict[int, Labels], within: float, now: int) -> None:
    found = four_keys(releases, ZERO + now * HOUR, within)
    often, lead, rate, back = (
        found[key] for key in ("deployment_frequency", "lead_time", "change_failure_rate", "recovery_time")
    )
    assert json.loads(json.dumps(found)) == found
    assert often["releases"] == rate["releases"] <= len(releases)
    assert rate["failed"] == len(found["failures"]) == back["releases"] + back["not_yet"]
    assert rate["rate"] is None or 0 <= rate["rate"] <= 1
    assert lead["releases"] + sum(lead["left_out"].values()) == often["good"]
    assert rate["releases"] - often["good"] <= rate["failed"], "what is not good has failed"
    for times in (lead, back):
        assert (times["median"] is None) == (times["releases"] == 0)
        assert times["median"] is None or 0 <= times["median"] <= times["worst"]
    for one in found["failures"]:
        assert (one["recovered_by"] is None) == (one["seconds"] is None)
        assert one["recovered_by"] is None or releases[one["recovered_by"]]["verdict"] in ("good", "rolled back")
        assert one["undone_by"] is None or one["undone_by"] <= (one["recovered_by"] or one["undone_by"])


@unhurried
@given(LEDGERS, st.floats(0, 7 * DAY), st.floats(0, 7 * DAY))
def test_a_longer_limit_never_makes_fewer_failures(releases: dict[int, Labels], one: float, other: float) -> None:
    shorter, longer = (four_keys(releases, ZERO, limit) for limit in sorted((one, other)))
    numbers = [{failure["number"] for failure in found["failures"]} for found in (shorter, longer)]
    assert numbers[0] <= numbers[1]
