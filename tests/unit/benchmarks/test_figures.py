"""What is made of figures: parts of a release's time, windows of a load, what happened around a loss."""

from __future__ import annotations

import pytest

from benchmarks.figures import ROLLBACK, SLOWEST, UPDATE, Figures, Section, overhead
from benchmarks.load.tally import Loss, Tally
from benchmarks.releases import Life, life, own, parts_of_update
from benchmarks.timeline import Moment, _event, _step, around
from benchmarks.timing import Sample
from benchmarks.traffic import SCENARIOS, SERVICES, Seen, Step, table, versions

LOSS = Loss(112.0, 0.5, "grpc", "head-go", "10.0.0.1:50055", "UNAVAILABLE: 503", "load-1-7")


def task(state: str, at: str) -> dict[str, object]:
    return {"CreatedAt": "2026-11-23T22:26:20.5Z", "Status": {"State": state, "Timestamp": at}}


@pytest.mark.parametrize(
    ("state", "healthy", "ended"),
    [("running", 1.25, None), ("shutdown", None, 1.25), ("failed", None, 1.25), ("starting", None, None)],
)
def test_the_life_of_a_task(state: str, healthy: float | None, ended: float | None) -> None:
    found = life("billing", task(state, "2026-11-23T22:26:21.750000001Z"))
    assert (found.healthy and found.healthy - found.created) == (healthy and pytest.approx(healthy))
    assert (found.ended and found.ended - found.created) == (ended and pytest.approx(ended))
    assert life("billing", task("running", "2026-11-23T22:26:21Z")).healthy is not None


TASKS = [
    Life("gateway", 100, None, 217),  # replaced: drained for 4 s after the new one was healthy
    Life("gateway", 50, None, 101),  # of an earlier change
    Life("gateway", 210, 213, None),
    Life("tail-go", 205, 206, None),
    Life("tail-go", 206, 211, None),
    Life("billing", 120, 125, None),  # not changed by this one
]


def test_what_services_take_by_themselves() -> None:
    assert own(TASKS, 200) == {"gateway": 3, "tail-go": 5}
    parts = parts_of_update(TASKS, "gateway", 200)
    assert parts == {"own start": 3, "own drain": 4}
    assert overhead(9.5, parts) == 2.5
    stop_first = [Life("edge", 100, None, 205), Life("edge", 206, 209, None)]
    assert parts_of_update(stop_first, "edge", 200)["own drain"] == 0


def test_verdicts_of_rollback_and_update() -> None:
    figures = Figures()
    for way, seconds in (("ours", 20.0), ("docker service rollback, one by one", 100.0)):
        figures.add(ROLLBACK, way, Sample(seconds, 1, 0.5, parts={SLOWEST: 6.0}))
    figures.add(UPDATE, "gateway", Sample(9.5, 1, 0.5, parts={"own start": 3, "own drain": 4, "overhead": 2.5}))
    figures.sections.append(Section("requests", ["a line"], [1]))
    said = "\n".join(figures.verdicts())
    assert "rollback: 20.0 s, slowest service's own start 6.0 s   (target: 2 x + 5 s = 17.0 s)" in said
    assert "ours / docker service rollback, one by one = 0.20" in said
    assert "update of gateway: 2.5 s more" in said
    assert "a line" in figures.table()
    assert figures.to_json()["requests"] == [1]


# --- traffic


def seen() -> Seen:
    """A load from 100 to 130, one request a second of 10 ms, of 90 ms during a command from 110 to 115."""
    tally = Tally()
    for second in range(100, 130):
        tally.answered("http", second, 0.09 if 110 <= second < 115 else 0.01, 0.001)
    tally.lost(LOSS, 0.001)
    step = Step(["update", "--set", "services.head-go.environment.DEMO_VERSION=2"])
    ready = Step(["update"], counted=False)
    steps = [(step, Sample(5.0, 1, 0.7, began=110.0)), (ready, Sample(5.0, 1, 0.4, began=120.0))]
    moments = [Moment(108.0, "long before"), Moment(111.5, "head-go starting 1/2"), Moment(112.9, "after it")]
    return Seen("update", tally, steps, moments)


def test_before_and_during_are_told_apart() -> None:
    row = seen().to_json()
    http = row["requests"]["http"]
    assert (http["before"]["p99"], http["during"]["p99"]) == (10, 90)
    assert (http["before"]["sent"], http["during"]["sent"]) == (7, 5)
    assert row["requests"]["all"]["whole"]["sent"] == 31
    assert row["requests"]["grpc"]["during"]["lost"] == 1
    assert row["cores busy"] == 0.7


def test_a_loss_is_told_with_what_happened_around_it() -> None:
    row = seen().to_json()
    assert row["lost"] == {"grpc head-go: UNAVAILABLE: 503": 1}
    [loss] = row["losses"]
    assert loss["when"] == "2.5 s into `update --set`"
    assert loss["around"] == ["  -0.500 s  head-go starting 1/2"]
    said = "\n".join(table([row]))
    assert "head-go starting 1/2" in said
    assert "1 x grpc head-go: UNAVAILABLE: 503" in said
    assert around(LOSS, []) == []


def test_the_moments_of_engine_and_docker() -> None:
    line = {"t": 5.0, "kind": "service", "name": "billing", "state": "starting", "healthy": 1, "wanted": 2}
    assert _step(line) == Moment(5.0, "billing starting 1/2")
    assert _step({"t": 5.0, "kind": "check", "name": "chat"}) is None
    event = {
        "Action": "kill",
        "timeNano": 5_500_000_000,
        "Actor": {"Attributes": {"name": "billing.2.abcdef", "signal": "15"}},
    }
    assert _event("tail", event) == Moment(5.5, "billing.2 on tail: kill (signal 15)")


def test_every_scenario_changes_every_published_service() -> None:
    for name, rounds in SCENARIOS.items():
        for step in rounds("7"):
            words = " ".join(step.words)
            assert step.words[0] == "rollback" or all(service in words for service in SERVICES), name
    assert versions(["gateway"], "7") == ["--set", "services.gateway.environment.DEMO_VERSION=7"]
    assert SCENARIOS["taken back"]("7")[0].good == (6,)
