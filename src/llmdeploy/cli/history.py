"""The verb history: releases as a list, one of them whole, two of them compared, figures over all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import typer

from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import LlmdeployError, UsageError

GRAMMAR = "history, history show N, history diff N M, history --dora"
MOST = 20
WITHIN = "24h"


class Wish(NamedTuple):
    """What was asked for: which view of the history, of which releases; `within`: the seconds of `--within`."""

    what: Literal["list", "show", "diff", "dora"]
    numbers: tuple[int, ...] = ()
    within: float = 0.0


def history(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[show N | diff N M]", help="One release whole, or what differs between two."),
    ] = None,
    most: Annotated[
        int | None, typer.Option("-n", "--number", min=1, help=f"List at most so many; default: {MOST}.")
    ] = None,
    dora: Annotated[
        bool,
        typer.Option(
            "--dora",
            help="How often, how fast and how well it was deployed: DORA's four keys over all releases that are kept.",
        ),
    ] = False,
    within: Annotated[
        str | None,
        typer.Option(
            "--within",
            metavar="DURATION",
            help=f"--dora: a deployment that a rollback undid within this long has failed; default: {WITHIN}.",
        ),
    ] = None,
) -> Outcome:
    """List the releases, the newest first; `show N` prints one, `diff N M` compares two. Works from any machine.

    --dora has deployment frequency, lead time for changes (from the commit to the end of a good deployment), change
    failure rate and recovery time, each with the number of releases that it rests on.
    """
    wish = understood(words or [], f"llmdeploy {session.environment}")
    wish = figures(wish, dora=dora, within=within, most=most)
    from llmdeploy.cli.connection import connect
    from llmdeploy.cluster import history as book
    from llmdeploy.cluster import live, releases
    from llmdeploy.cluster.stacks import stack_of

    outline = session.outline()
    with connect(session, outline) as connection, live.manager(connection.managers) as docker:
        if docker is None:
            raise LlmdeployError(f"{outline.name} has no cluster yet", hint=f"llmdeploy {outline.name} deploy")
        known = outline.environment is not None
        stack = outline.stack if known else stack_of(docker, outline.name, outline.stack)
        configs = docker.configs(stack)
        lock = book.living(docker, stack, configs)
    found = book.of_configs(configs)
    about = {"environment": outline.name, "stack": stack}
    if wish.what == "list":
        return Outcome("history", {**about, **releases.listed(found, lock, most or MOST)})
    if wish.what == "dora":
        return Outcome("dora", {**about, **releases.four_keys(found, lock, time.time(), wish.within)})
    picked = [book.pick(found, number, outline.name) for number in wish.numbers]
    if wish.what == "show":
        return Outcome("release", {**about, **releases.shown(picked[0], found, lock)})
    return Outcome("difference", {**about, **releases.compared(*picked)})


def understood(words: Sequence[str], command: str) -> Wish:
    """In: what stands behind `history`. Out: what is meant. Raises UsageError that says how to ask for it."""
    match list(words):
        case []:
            return Wish("list")
        case ["show", number]:
            return Wish("show", (_number(number, command),))
        case ["diff", one, other]:
            return Wish("diff", (_number(one, command), _number(other, command)))
        case ["show", *_]:
            raise UsageError("history show takes the number of one release", hint=f"{command} history show 12")
        case ["diff", *_]:
            raise UsageError("history diff takes the numbers of two releases", hint=f"{command} history diff 11 12")
        case [word] if word.isdigit():
            raise UsageError(f"history {word}: show it, or compare it?", hint=f"{command} history show {word}")
        case [word, *_]:
            raise UsageError(f"history has no {word!r}", hint=f"there are: {GRAMMAR}")
    raise AssertionError


def figures(wish: Wish, *, dora: bool, within: str | None, most: int | None) -> Wish:
    """In: what the words mean, and the options. Out: what both mean. Raises UsageError where they do not fit."""
    if not dora:
        if within is not None:
            raise UsageError("--within is about --dora", hint="history --dora --within 24h")
        return wish
    if wish.what != "list":
        raise UsageError(f"--dora is about all releases: without {wish.what}", hint=f"there are: {GRAMMAR}")
    if most is not None:
        raise UsageError("--dora is about all releases that are kept: without -n", hint=f"there are: {GRAMMAR}")
    from llmdeploy.cli.making import duration

    return Wish("dora", within=duration("--within", WITHIN if within is None else within))


def _number(word: str, command: str) -> int:
    if not word.isdecimal() or not int(word):
        raise UsageError(f"{word!r} is not the number of a release", hint=f"{command} history lists them")
    return int(word)
