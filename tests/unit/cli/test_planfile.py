"""A plan in a file: done as it was shown, or refused with what is different now."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli import planfile
from llmdeploy.errors import LockedError, UsageError
from tests.unit.manifests import SERVICES, manifest, sha

Job = dict[str, Any]


@dataclass
class Plan:
    """What of a plan is kept."""

    pins: dict[str, str]
    data: dict[str, Any] = field(default_factory=lambda: {"steps": ["tail: prepare (Docker, probe)"]})


def planned(**more: Any) -> tuple[Job, Plan]:
    made = manifest(**more)
    made["job"]["seen"] = {"web": "111", "store": "222", "new": ""}
    return made["job"], Plan(made["pins"])


def saved(path: Path) -> Path:
    planfile.save(path / "plan.json", "staging", *planned())
    return path / "plan.json"


def test_what_is_unchanged_may_be_done_by_somebody_else(tmp_path: Path) -> None:
    path = saved(tmp_path)
    job, plan = planned()
    job |= {"id": "another", "by": {"user": "ci"}, "catalogue": "another"}
    planfile.check(path, "staging", job, plan)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["plan.json"]
    assert '"laptop"' not in path.read_text()


def gateway(job: Job, plan: Plan) -> None:
    job["seen"]["web"] = "999"


def gone(job: Job, plan: Plan) -> None:
    job["seen"]["store"] = ""


def appeared(job: Job, plan: Plan) -> None:
    job["seen"]["new"] = "333"


def host(job: Job, plan: Plan) -> None:
    plan.data["steps"] = ["head: deliver redis:7"]


def moved_tag(job: Job, plan: Plan) -> None:
    plan.pins["redis:7"] = f"redis@{sha('b')}"


def canary(job: Job, plan: Plan) -> None:
    job["canary"] = True


def orphan(job: Job, plan: Plan) -> None:
    job["remove"] = ["old"]


def deadline(job: Job, plan: Plan) -> None:
    job["deadline"] = 5.0


def probe(job: Job, plan: Plan) -> None:
    job["services"]["web"]["answers"][0]["path"] = "/other"


def network(job: Job, plan: Plan) -> None:
    job["network"] = "other"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (gateway, "the cluster has changed: web (changed)"),
        (gone, "the cluster has changed: store (is gone)"),
        (appeared, "the cluster has changed: new (was not there)"),
        (host, "on hosts has changed: head: deliver redis:7, tail: prepare (Docker, probe)"),
        (moved_tag, "the configuration has changed: store (image redis:7@aaaaaaaaaaaa → redis:7@bbbbbbbbbbbb)"),
        (canary, "the options are others: --canary"),
        (orphan, "the options are others: --remove-orphans"),
        (probe, "the configuration has changed: web"),
        (deadline, "the configuration has changed: deadline"),
        (network, "the configuration has changed: network"),
    ],
)
def test_every_difference_is_named(tmp_path: Path, change: Callable[[Job, Plan], None], line: str) -> None:
    path = saved(tmp_path)
    job, plan = planned()
    change(job, plan)
    with pytest.raises(LockedError) as caught:
        planfile.check(path, "staging", job, plan)
    assert int(caught.value.exit_code) == 4
    assert [line in one for one in caught.value.details["differences"]] == [True]
    assert line in caught.value.message
    assert "nothing was changed" in caught.value.message


def test_changed_settings_are_named_by_their_fields(tmp_path: Path) -> None:
    path = saved(tmp_path)
    services = copy.deepcopy(SERVICES)
    services["web"] |= {"memory": "2GiB", "environment": {"TOKEN": "hidden"}}
    services["more"] = {"image": "redis:7"}
    with pytest.raises(LockedError) as caught:
        planfile.check(path, "staging", *planned(services=services))
    assert "more (create)" in caught.value.message
    assert "memory 1 GiB → 2 GiB" in caught.value.message
    assert "hidden" not in caught.value.message


def test_several_differences_are_several_lines(tmp_path: Path) -> None:
    path = saved(tmp_path)
    job, plan = planned()
    for change in (gateway, host, canary):
        change(job, plan)
    with pytest.raises(LockedError) as caught:
        planfile.check(path, "staging", job, plan)
    assert len(caught.value.details["differences"]) == 3


def test_an_image_that_was_not_made_yet_may_be_there_now(tmp_path: Path) -> None:
    job, plan = planned()
    plan.pins["redis:7"] = "(made by the deploy)"
    planfile.save(tmp_path / "plan", "staging", job, plan)
    planfile.check(tmp_path / "plan", "staging", *planned())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no plan"),
        ("{", "is no plan"),
        ("[]", "is no plan"),
        ('{"what": "else"}', "is no plan"),
        ('{"what": "llmdeploy plan", "tool": "0.0.1", "format": 1}', "was made by llmdeploy 0.0.1, this is"),
        ("an edit", "is damaged, or was edited"),
        ("production", "is a plan for production, not for staging"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = saved(tmp_path)
    content = json.loads(path.read_text())
    if text == "production":
        text = json.dumps({**content, "environment": "production"})
    elif text == "an edit":
        text = json.dumps({**content, "steps": []})
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        planfile.check(path, "staging", *planned())


def test_a_place_that_cannot_be_written_or_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written to .*: No such file or directory"):
        planfile.save(tmp_path / "nowhere" / "plan", "staging", *planned())
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        planfile.check(tmp_path / "plan", "staging", *planned())
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        planfile.save(tmp_path / "folder", "staging", *planned())
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


def test_the_hour_is_told_and_on_another_day_the_day(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = {**json.loads(path.read_text()), "saved": "2024-02-03T12:00:00Z"}
    del content["sum"]
    path.write_text(json.dumps({**content, "sum": planfile._sum(content)}))
    with pytest.raises(LockedError, match=r"plan of 2024-02-03 \d\d:\d\d"):
        planfile.check(path, "staging", *planned(images="b"))
