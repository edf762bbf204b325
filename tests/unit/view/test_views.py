"""The views of a run, drawn into text."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmdeploy.events import (
    SERVICE_STATES,
    CheckResult,
    Event,
    Failure,
    HostStep,
    Note,
    PhaseStarted,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.view import ViewMode, make_view
from llmdeploy.view.frame import Frame
from llmdeploy.view.github import GithubView, annotation, defused
from llmdeploy.view.live import LiveView
from llmdeploy.view.model import Run
from llmdeploy.view.plain import PlainView
from llmdeploy.view.words import clock, count, names, seconds

from .script import HOSTS, WAVES, preparation, script

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def played(kind: str, upto: int = 10_000) -> tuple[Run, float]:
    """A run after the first events of a script, and the moment."""
    run, now = Run(0.0), 0.0
    for pause, event in list(script(kind))[:upto]:
        now += pause
        run.apply(event, now)
    return run, now


def frame(run: Run, now: float, **more: object) -> list[str]:
    return [line.plain for line in Frame("staging deploy", **more).lines(run, now)]  # type: ignore[arg-type]


def plain(kind: str, *, quiet: bool = False, verbose: bool = False) -> str:
    out = io.StringIO()
    view = PlainView(out, quiet=quiet, verbose=verbose, now=lambda: 0.0)
    for _, event in script(kind):
        view.on_event(event)
    return out.getvalue()


# --- the picture


def test_hosts_while_they_are_prepared() -> None:
    run, now = Run(0.0), 0.0
    for pause, event in list(preparation())[:16]:
        now += pause
        run.apply(event, now)
    lines = frame(run, now + 12)
    assert lines[0].startswith("staging deploy ──")
    assert lines[0].endswith(" 0:13")
    assert lines[1].startswith("✓ Look")
    assert "▸ Prepare" in lines[1]
    assert any(re.match(r"▸ running +ui-server +1\d s  Install Docker", line) for line in lines)


def test_ten_services_and_four_hosts_fit_a_small_terminal() -> None:
    for upto in range(1, 100, 3):
        run, now = played("good", upto)
        lines = frame(run, now, width=80, height=22)
        assert len(lines) <= 22
        assert max(map(len, lines)) <= 80


def test_services_in_their_waves() -> None:
    run, now = played("good", 49)
    text = "\n".join(frame(run, now))
    assert "release 7, " in text
    assert re.search(r"^ 1 ✓ done +billing +1/1 +4.9 s$", text, re.MULTILINE)
    assert re.search(r"^ 2 ▸ starting +auth-service +0/1", text, re.MULTILINE)
    assert re.search(r"^ 5 · waiting +admin-dashboard$", text, re.MULTILINE)
    assert re.search(r"^   · waiting +user-dashboard$", text, re.MULTILINE)


def test_time_goes_on_for_what_is_under_way_only() -> None:
    run = Run(0.0)
    for state in ("starting", "done", "waiting"):
        run.apply(ServiceState(state, state, 1, 0, 1, 3.0), 10.0)
    assert [service.seconds(15.0) for service in run.services.values()] == [8.0, 3.0, 3.0]


def test_what_did_not_change_takes_one_line() -> None:
    run = Run(0.0)
    for name, wave in WAVES.items():
        run.apply(ServiceState(name, "unchanged", wave, 1, 1), 1.0)
    lines = frame(run, 2.0)
    assert len(lines) == 3
    assert "unchanged" in lines[2]
    assert "10: " in lines[2]


def test_fifty_hosts_in_a_small_terminal_with_the_broken_ones_on_top() -> None:
    run, now = played("hosts")
    lines = frame(run, now, height=14)
    assert len(lines) <= 14
    assert "node-07" in "\n".join(lines[3:5])
    assert "node-09" in "\n".join(lines[3:5])
    assert re.search(r"and \d+ more hosts, \d+ of them at work", lines[-1])


def test_a_failed_phase_has_no_tick() -> None:
    run, now = played("bad")
    run.close(now)
    lines = frame(run, now, final=True)
    assert "✗ Release" in lines[1]
    assert any("✗ failed" in line and "head-go" in line for line in lines)


def test_what_has_failed_and_what_goes_back_can_be_seen_together() -> None:
    lines = frame(*played("back", 36))
    assert re.match(r"staging deploy, release 7, back to release 4: 1 of 4 services ─+ 0:\d\d$", lines[0])
    assert "▸ Release" in lines[1]
    assert [re.sub(r" +", " ", line) for line in lines[3:]] == [
        " 2 ✗ failed head-go 0/1 31 s its task ended with exit code 1",
        " everything back to release 4:",
        " 1 ✓ back head-go 1/1 2.6 s",
        " 2 ◂ going back billing 0/1 0.4 s preparing",
        " · waiting model-proxy",
        " 3 · waiting new-one",
    ]


def test_the_picture_of_a_way_back_ends_with_its_verification() -> None:
    lines = frame(*played("back"))
    assert [re.sub(r" +", " ", line) for line in lines[-2:]] == [
        " 3 - removed new-one 2.3 s", " ✓ checks all answered, of 2",
    ]  # fmt: skip


def test_a_check_that_failed_stays_in_sight_while_everything_goes_back() -> None:
    run = Run(0.0)
    for event in (
        ServiceState("a", "done", 1, 1, 1),
        CheckResult("chat", False, 5.0, "HTTP 503"),
        ReleasePlanned(7, [{"name": "a", "wave": 1, "action": "change", "changes": []}], "", "taking-back", 4),
        ServiceState("a", "done", 1, 1, 1, back=True),
        CheckResult("chat", True, 5.0),
    ):
        run.apply(event, 1.0)
    lines = [re.sub(r" +", " ", line) for line in frame(run, 2.0)]
    assert lines[2:] == [
        " ✗ checks 1 failed: chat, of 1",
        " everything back to release 4:",
        " 1 ✓ back a 1/1",
        " ✓ checks all answered, of 1",
    ]


def test_a_canary_has_a_state_of_its_own() -> None:
    upto = next(i for i, (_, event) in enumerate(script("canary"), 1) if getattr(event, "state", "") == "canary")
    text = "\n".join(frame(*played("canary", upto)))
    assert re.search(r"^ 3 ◐ canary +gateway +1/2 +3.0 s  1 of 2 is new, watched 10 s$", text, re.MULTILINE)


@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.sampled_from(SERVICE_STATES), st.integers(0, 40), st.booleans()),
        max_size=60,
    ),
    st.integers(20, 120),
    st.integers(8, 40),
)
@settings(deadline=None, max_examples=150)
def test_every_picture_fits(services: list[tuple[str, str, int, bool]], width: int, height: int) -> None:
    run = Run(0.0)
    run.apply(PhaseStarted("Release"), 0.0)
    for name, state, wave, back in services:
        run.apply(ServiceState(name or "x", state, wave, 0, 1, detail="something\nlong " * 5, back=back), 1.0)
    for good in (True, False):
        run.apply(CheckResult("chat", good), 1.0)
    if any(back for *_, back in services):
        run.apply(ReleasePlanned(7, [], "", "taking-back", 4), 1.0)
        run.apply(CheckResult("chat", True), 1.0)
    run.apply(HostStep("a", "Release", "x" * 300, "failed", "y" * 300), 1.0)
    lines = Frame("t", width, height).lines(run, 2.0)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)


# --- the live view


def test_the_live_view_leaves_everything_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    view = LiveView(Console(file=out, force_terminal=True, width=80, height=24), "staging deploy")
    for _, event in script("bad"):
        view.on_event(event)
    with view.paused():
        out.write("a question\n")
    view.close()
    view.close()
    text = ESCAPE.sub("", out.getvalue())
    assert "✗ head-go failed on head-server: not healthy within 30 s" in text
    assert "last 20 log lines:" in text
    assert "what to do: llmdeploy staging logs head-go" in text
    assert "✓ changed     model-proxy-server  Install Docker" in text
    assert "a question" in text
    assert text.rstrip().endswith("user-dashboard")
    assert "starting" in text


def test_the_live_view_keeps_what_went_back_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    view = LiveView(Console(file=out, force_terminal=True, width=80, height=24), "staging deploy")
    for _, event in script("back"):
        view.on_event(event)
    view.close()
    text = re.sub(r" +", " ", ESCAPE.sub("", out.getvalue()))
    failed, back = (
        text.index("✗ head-go failed on head-server"),
        text.index("! taking back everything back to release 4:"),
    )
    assert failed < back < text.rindex("✓ back model-proxy 1/1 2.6 s")


# --- plain


def test_plain_lines_have_a_stamp_and_no_escapes() -> None:
    text = plain("good")
    assert "\x1b" not in text
    assert "  0:00  == Prepare\n" in text
    assert "  0:00  changed      model-proxy-server  Install Docker (7.0 s)\n" in text
    assert "  0:00  done         gateway  2/2  wave 3  4.9 s\n" in text
    assert "waiting" not in text
    assert "Read the host" not in text
    assert text.endswith("release done in 31 s: 10 services done\n")


def test_what_is_new_needs_no_list_of_changes() -> None:
    out = io.StringIO()
    rows = [
        {"name": "a", "wave": 1, "action": "create", "changes": ["created"]},
        {"name": "b", "wave": 1, "action": "change", "changes": ["replicas 1 → 2"]},
    ]
    PlainView(out, now=lambda: 0.0).on_event(ReleasePlanned(7, rows))
    assert out.getvalue() == "  0:00  release 7: create a; change b\n          b: replicas 1 → 2\n"


def test_verbose_shows_the_steps_and_quiet_the_problems() -> None:
    assert "ok           head-server  Read the host" in plain("good", verbose=True)
    quiet = plain("bad", quiet=True)
    assert "head-go failed" in quiet
    assert "9 GB free" in quiet
    assert "==" not in quiet
    assert "changed" not in quiet


def test_the_same_state_is_said_once() -> None:
    out = io.StringIO()
    view = PlainView(out)
    for elapsed in (1.0, 2.0, 3.0):
        view.on_event(ServiceState("a", "starting", 1, 0, 1, elapsed, "pulling"))
    for detail in ("preparing", "pulling", "preparing"):
        view.on_event(ServiceState("a", "starting", 1, 0, 1, 4.0, detail))
    assert len(out.getvalue().splitlines()) == 2
    view.on_event(ServiceState("a", "healthy", 1, 1, 1, 5.0))
    view.on_event(ServiceState("a", "starting", 1, 0, 1, 6.0, "preparing"))
    assert len(out.getvalue().splitlines()) == 4


def test_a_release_that_is_taken_back_in_lines() -> None:
    lines = [line[8:] for line in plain("back").splitlines()]
    at = lines.index("taking back  everything back to release 4: head-go, billing, model-proxy; removing new-one")
    assert any(line.startswith("head-go failed on head-server: ") for line in lines[:at]), "the reason comes first"
    assert lines[at + 1 : at + 4] == [
        "going back   head-go  0/1  wave 1  0.4 s  preparing",
        "healthy      head-go  1/1  wave 1  1.9 s",
        "back         head-go  1/1  wave 1  2.6 s",
    ]
    assert lines[-1].startswith("release 7 rolled back in 52 s: head-go: failed; ")
    assert lines[-1].endswith("; taken back to release 4 and verified: head-go, billing, model-proxy, new-one")
    assert "auth-service" not in "".join(lines[at:]), "who was not touched is not told of"


def test_what_is_stuck_is_told_with_what_it_runs() -> None:
    text = plain("stuck")
    assert "stuck        billing  0/1  wave 2  1:00  no suitable node (insufficient memory on 4 nodes)\n" in text
    assert "billing runs release 7, image sha256:0a1b2c3d4e5f (no suitable node); next: llmdeploy staging" in text


def test_quiet_tells_of_the_way_back_too() -> None:
    lines = [line[8:] for line in plain("stuck", quiet=True).splitlines()]
    assert [line for line in lines if line.startswith(("taking back", "stuck", "going back", "back"))] == [
        "taking back  everything back to release 4: head-go, billing, model-proxy; removing new-one",
        "stuck        billing  0/1  wave 2  1:00  no suitable node (insufficient memory on 4 nodes)",
    ]


def test_the_same_state_on_the_way_back_is_news() -> None:
    out = io.StringIO()
    view = PlainView(out)
    for back in (False, True):
        view.on_event(ServiceState("a", "healthy", 1, 1, 1, 2.0, back=back))
    assert len(out.getvalue().splitlines()) == 2


# --- GitHub


def test_github_marks_the_way_back_and_what_is_stuck() -> None:
    out = io.StringIO()
    view = GithubView(out)
    for _, event in script("stuck"):
        view.on_event(event)
    view.close()
    marked = [line.partition("::")[2] for line in out.getvalue().splitlines() if line.startswith(("::err", "::warn"))]
    firsts = [mark.split("%0A")[0].replace(" title=", " ") for mark in marked]
    assert firsts == [
        "error head-go::head-go failed on head-server: not healthy within 30 s: its task ended with exit code 1",
        "warning taking back::everything back to release 4: head-go, billing, model-proxy; removing new-one",
        "error billing::billing failed: no suitable node (insufficient memory on 4 nodes)",
        "error release 7::billing runs release 7, image sha256:0a1b2c3d4e5f; wanted: release 4 (no suitable node)",
    ]


def test_groups_annotations_and_no_commands_from_logs() -> None:
    out = io.StringIO()
    view = GithubView(out)
    view.on_event(PhaseStarted("Prepare"))
    view.on_event(PhaseStarted("Release"))
    evil = ["::add-mask::x", "  ::set-output name=a::b", "and ##[group]x"]
    view.on_event(Failure("head-go", "100% broken\nreally", log=evil))
    view.on_event(HostStep("a", "Release", "Step", "unreachable", "no route"))
    view.close()
    lines = out.getvalue().splitlines()
    assert lines[:4] == ["::group::Prepare", "::endgroup::", "::group::Release", "::endgroup::"]
    commands = [line for line in lines if line.lstrip().startswith("::") or "##[" in line.partition("::")[0]]
    assert [line.split("::")[1].split()[0] for line in commands] == [
        "group", "endgroup", "group", "endgroup", "error", "error",
    ]  # fmt: skip
    error = next(line for line in lines if line.startswith("::error title=head-go::"))
    assert "100%25 broken really%0A" in error


def test_workflow_commands_are_escaped() -> None:
    assert annotation("error", "a:b,c", "x\ny%") == "::error title=a%3Ab%2Cc::x%0Ay%25"
    assert defused("a\n ::error::b") == "a\n : :error::b"


# --- which view


@pytest.mark.parametrize(
    ("mode", "environ", "expected"),
    [
        (ViewMode(json=True), {"GITHUB_ACTIONS": "true"}, '{"t": '),
        (ViewMode(), {"GITHUB_ACTIONS": "true"}, "::group::Look"),
        (ViewMode(), {}, "  0:00  == Look"),
        (ViewMode(plain=True), {}, "  0:00  == Look"),
    ],
)
def test_which_view_is_picked(mode: ViewMode, environ: dict[str, str], expected: str) -> None:
    out = io.StringIO()
    with make_view(mode, environment="dev", action="deploy", out=out, environ=environ) as view:
        view.on_event(PhaseStarted("Look"))
    assert out.getvalue().startswith(expected)


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False)])
def test_a_terminal_gets_the_live_view_a_dumb_one_lines(term: str, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    out = Terminal()
    with make_view(ViewMode(), environment="dev", action="deploy", out=out, environ={}) as view:
        view.on_event(PhaseStarted("Look"))
    assert ("\x1b" in out.getvalue()) is live


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with make_view(ViewMode(), environment="dev", action="deploy", out=out, environ={}) as view:
        view.on_event(Note("error", "bad"))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", out.getvalue())


def test_the_log_gets_everything(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        path.open("w") as log,
        make_view(
            ViewMode(quiet=True), environment="dev", action="deploy", log=log, out=io.StringIO(), environ={}
        ) as view,
    ):
        for _, event in script("good"):
            view.on_event(event)
        view.say("a word")
    text = path.read_text()
    assert re.match(r"  0:00  dev deploy, 20\d\d-\d\d-\d\d ", text)
    assert "Read the host" in text
    assert text.endswith("a word\n")


def test_json_lines_are_json() -> None:
    out = io.StringIO()
    with make_view(ViewMode(json=True), environment="dev", action="deploy", out=out, environ={}) as view:
        for _, event in script("stuck"):
            view.on_event(event)
        view.say("not for programs")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds[0] == "phase"
    assert kinds[-1] == "end"
    assert "failure" in kinds
    back = next(line for line in lines if line.get("state") == "taking-back")
    assert (back["kind"], back["to"]) == ("release", 4)
    assert [line["name"] for line in lines if line["kind"] == "service" and line["back"] and line["state"] == "done"]
    assert lines[-1]["taken_back"]["stuck"][0]["service"] == "billing"


@pytest.mark.parametrize("width", [80, 120])
def test_drawing_is_cheap(width: int) -> None:
    run, now = played("good", 60)
    began = time.monotonic()
    for _ in range(20):
        frame(run, now, width=width)
    assert time.monotonic() - began < 2


def test_small_words() -> None:
    assert [seconds(value) for value in (0.04, 3.21, 9.99, 59.6, 65, 3723)] == [
        "0.0 s", "3.2 s", "10 s", "1:00", "1:05", "1:02:03",
    ]  # fmt: skip
    assert (clock(4), clock(3723)) == ("0:04", "1:02:03")
    assert names("abcd", 2) == "a, b and 2 more"
    assert (count(1, "host"), count(2, "host")) == ("1 host", "2 hosts")
    assert HOSTS[0] == "head-server"


def test_events_of_the_future_are_ignored() -> None:
    class Strange(Event):
        kind = "strange"

    for view in (PlainView(io.StringIO()), GithubView(io.StringIO())):
        view.on_event(Strange())
    Run(0.0).apply(Strange(), 1.0)
