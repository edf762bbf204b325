"""What llmdeploy tells of its releases: Prometheus' own program takes it, and it says what is."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import textfile
from llmdeploy.engine.ledger import encode
from tests.programs import program

NEW, OLD = "sha256:" + "b" * 64, "sha256:" + "a" * 64
DIGEST = "sha256:" + "0123456789ab" + "c" * 52


def release(verdict: str, images: dict[str, str], pins: dict[str, str], **labels: str) -> dict[str, Any]:
    job = {"services": {name: {"image": image} for name, image in images.items()}}
    data = base64.b64encode(encode({"format": 1, "job": job, "pins": pins})).decode()
    return {"Spec": {"Labels": {"verdict": verdict, "action": "deploy", **labels}, "Data": data}}


def live(name: str, image: str, release_: str, mode: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {
        "Spec": {
            "Name": name, "Mode": mode, "TaskTemplate": {"ContainerSpec": {"Image": image}},
            "Labels": {"llmdeploy.stack": "llm", "llmdeploy.release": release_, **labels},
        },
        "ServiceStatus": {"DesiredTasks": 3, "RunningTasks": 1},
    }  # fmt: skip


RELEASES = {
    1: release("good", {"web": "demo:1"}, {"demo:1": OLD}, result="done", finished="2026-11-23T18:00:00Z"),
    2: release(
        "rolled back", {"web": "demo:2"}, {"demo:2": NEW}, action="update", result="rolled-back",
        finished="2026-11-23T19:00:00Z", seconds="12.5", totals='{"deploy done":4,"update rolled-back":1}',
    ),
    3: release("running", {}, {}),
}  # fmt: skip
SERVICES = [
    live("web", OLD, "1", {"Replicated": {"Replicas": 2}}),
    live("agent", f"registry.example.com:5000/agent:v7@{DIGEST}", "1", {"Global": {}}),
    live("edge-config", OLD, "1", {"ReplicatedJob": {}}, **{"llmdeploy.kind": "helper"}),
    live("theirs", OLD, "1", {"Global": {}}, **{"llmdeploy.stack": "other"}),
]


def values(content: str) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in content.splitlines() if not line.startswith("#"))
    return {name.removeprefix("llmdeploy_"): float(value) for name, value in pairs}


def test_it_tells_the_newest_release_and_what_runs() -> None:
    assert values(textfile.text("llm", RELEASES, SERVICES)) == {
        'release_timestamp_seconds{stack="llm"}': 1795460400,
        'release_number{stack="llm",action="update",result="rolled-back"}': 2,
        'release_duration_seconds{stack="llm",action="update",result="rolled-back"}': 12.5,
        'releases_total{stack="llm",action="deploy",result="done"}': 4,
        'releases_total{stack="llm",action="update",result="rolled-back"}': 1,
        'release_info{stack="llm",service="agent",image="registry.example.com:5000/agent:v7@' + DIGEST
        + '",version="v7",release="1"}': 1,
        'release_info{stack="llm",service="web",image="demo:1",version="1",release="1"}': 1,
        'service_replicas_desired{stack="llm",service="agent"}': 3,
        'service_replicas_desired{stack="llm",service="web"}': 2,
    }  # fmt: skip


def checked(content: str) -> tuple[int, str]:
    """What `promtool check metrics` says."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=content,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_promtool_finds_nothing_to_say() -> None:
    odd = live("web", 'we"i\\rd\nimage', "1", {"Global": {}})
    content = textfile.text('a "stack"\\\n', RELEASES, [{**odd, "Spec": {**odd["Spec"], "Labels": {
        "llmdeploy.stack": 'a "stack"\\\n', "llmdeploy.release": "1"}}}])  # fmt: skip
    assert 'image="we\\"i\\\\rd\\nimage"' in content
    assert checked(content) == (0, "")
    assert checked(textfile.text("llm", RELEASES, SERVICES)) == (0, "")


def test_promtool_would_find_something() -> None:
    broken = textfile.text("llm", RELEASES, SERVICES).replace("releases_total counter", "releases_total gauge")
    assert checked(broken)[0] != 0


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("demo:3f2a", "3f2a"),
        ("host:5000/demo", "latest"),
        (f"demo@{DIGEST}", "0123456789ab"),
        (DIGEST, "0123456789ab"),
    ],
)
def test_a_version_is_the_tag_or_the_digest(image: str, version: str) -> None:
    content = textfile.text("llm", RELEASES, [live("web", image, "1", {"Global": {}})])
    assert f'image="{image}",version="{version}"' in content


def test_before_the_first_release_has_ended_there_is_nothing_to_tell() -> None:
    assert textfile.text("llm", {}, SERVICES) == ""
    assert textfile.text("llm", {3: RELEASES[3]}, SERVICES) == ""


def test_what_is_counted_never_goes_down() -> None:
    done = {"action": "deploy", "verdict": "good", "result": "done"}
    releases: dict[int, dict[str, str]] = {}
    for number in range(1, 8):
        releases[number] = dict(done)
        releases[number]["totals"] = textfile.counted(releases)
        releases.pop(number - 3, None)  # the ledger forgets
        assert textfile.totals(releases) == {"deploy done": number}
    releases[8] = {"action": "update", "verdict": "running"}  # its engine died
    assert textfile.totals(releases) == {"deploy done": 7}
    releases[9] = {**done, "action": "scale"}
    assert textfile.counted(releases) == '{"deploy done":7,"scale done":1,"update interrupted":1}'


def test_the_ledger_of_an_older_llmdeploy_is_counted_as_it_is() -> None:
    old = {"action": "deploy", "verdict": "good", "result": "done"}
    assert textfile.totals({4: old, 5: {"action": "deploy", "verdict": "interrupted"}, 6: old}) == {
        "deploy done": 2, "deploy interrupted": 1,
    }  # fmt: skip


def test_the_file_is_replaced_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "metrics"
    before = os.umask(0o077)
    try:
        textfile.write(folder, "a 1\n")
        opened = (folder / textfile.FILE).open()
        textfile.write(folder, "b 2\n")
    finally:
        os.umask(before)
    with opened:
        assert opened.read() == "a 1\n", "who reads it sees one or the other"
    assert [path.name for path in folder.iterdir()] == ["llmdeploy.prom"]
    assert (folder / textfile.FILE).read_text() == "b 2\n"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / textfile.FILE)]
    assert modes == [0o755, 0o644]
