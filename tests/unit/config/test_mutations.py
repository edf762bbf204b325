"""Mutated files: loading succeeds or says what is wrong; never anything else."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdeploy.config import effective, load
from llmdeploy.errors import ConfigError, Problem, UsageError
from llmdeploy.project import Project

CHECKOUT = Path(__file__).parents[3]
FILES = ("inventory/group_vars/all.yml", "environments/production.yml", "inventory/production.ini")
YAML_INVENTORY = b"""\
all:
  vars: {ansible_user: deploy}
  children:
    head: {hosts: {h1: {ansible_host: 10.0.0.1}}}
    model-proxy: {hosts: {"web[01:03]": }}
    tail: {hosts: {h1: }}
    ui: {hosts: {h1: }, vars: {ansible_port: 2222}}
"""
VALUES = (
    b"null", b"~", b"[]", b"{}", b"-1", b"0", b"1e9", b".inf", b".nan", b"yes", b"''", b'"\\0"', b"[1, [2]]", b"{a: b}",
    b"2024-01-01", b"1:30", b"!!int x", b"!vault x", b"&a x", b"*a", b"9" * 400 + b"GB", b"99999999999999999999",
    b"{{ x }}", b"{% x", b"\xff", "ü\u2028".encode(), b"a b c", b"<<", b"[1:99999]", b"x" * 5000, b"../../etc",
)  # fmt: skip


def swap_value(data: bytes, pick: random.Random) -> bytes:
    """Another value after a `:` or `=`."""
    places = [index for index, char in enumerate(data) if char in b":="]
    if not places:
        return data
    place = pick.choice(places) + 1
    end = min((at for at in (data.find(stop, place) for stop in (b"\n", b",", b"}")) if at >= 0), default=len(data))
    return data[:place] + b" " + pick.choice(VALUES) + data[end:]


def edit_bytes(data: bytes, pick: random.Random) -> bytes:
    """A few bytes changed, added or taken away."""
    edited = bytearray(data)
    for _ in range(pick.randint(1, 5)):
        place = pick.randrange(len(edited) + 1)
        kind = pick.randrange(3)
        if kind == 0:
            edited[place:place] = bytes([pick.choice([*b"\n\t :{}[]-#&*!|>'\"%@`,?=", pick.randrange(256)])])
        elif kind == 1:
            del edited[place : place + pick.randint(1, 10)]
        elif place < len(edited):
            edited[place] = pick.randrange(256)
    return bytes(edited)


def edit_lines(data: bytes, pick: random.Random) -> bytes:
    """A line taken away, doubled, moved or indented."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place = pick.randrange(len(lines))
    line = lines[place]
    changed = [[], [line, line], [b"  " + line], [line.lstrip()], [lines[pick.randrange(len(lines))]]]
    lines[place : place + 1] = pick.choice(changed)
    return b"".join(lines)


EDITS: tuple[Callable[[bytes, random.Random], bytes], ...] = (swap_value, edit_bytes, edit_lines)


def problems(load_it: Callable[[], object]) -> list[Problem]:
    """What loading says is wrong; any other exception fails the test."""
    try:
        load_it()
    except ConfigError as error:
        return error.problems or [Problem("", -1, "", "", "no problem in a ConfigError")]
    except UsageError as error:
        return [Problem("command line", 0, "", "", repr(error.message))]
    return []


def check(load_it: Callable[[], object]) -> None:
    for problem in problems(load_it):
        assert problem.file
        assert problem.why
        assert problem.line >= 0
        assert "\n" not in str(problem)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.sampled_from(FILES), st.integers(1, 3))
def test_mutated_files(pick: random.Random, name: str, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for file in FILES:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / file, root / file)
        if name.endswith(".ini") and pick.random() < 0.4:
            (root / name).unlink()
            name = "inventory/production.yml"
            (root / name).write_bytes(YAML_INVENTORY)
        for place in ("demo", "edge"):
            (root / place).mkdir()
            (root / place / "Dockerfile").touch()
        data = (root / name).read_bytes()
        for _ in range(count):
            data = pick.choice(EDITS)(data, pick)
        (root / name).write_bytes(data)
        project = Project(root)
        check(lambda: effective(load(project, "production", ["services.gateway.replicas=2"])))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_override(text: str) -> None:
    check(lambda: load(Project(CHECKOUT), "dev", [text]))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["stack", "services.gateway", "services", "edge.build", "verify.requests", "x"]),
    st.text(max_size=40),
)
def test_any_value_of_an_override(key: str, value: str) -> None:
    check(lambda: load(Project(CHECKOUT), "dev", [f"{key}={value}"]))
