"""What is inside the encrypted file: `NAME: value` lines, as YAML. Pure.

Messages name lines and names, never values: neither those of the file nor what a parser quotes of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from llmdeploy.errors import ConfigError, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()  # its methods have no types
_TAG = "tag:yaml.org,2002:"
_TEXT = (None, "!", _TAG + "str")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")
_ONE_LINE = re.compile(r"[\x20-\x7e]*")
_LINES = re.compile(r"[\x20-\x7e\n]*")


def looks_like_a_name(word: str) -> bool:
    """Whether a word may be shown: somebody may have typed a value where a name belongs."""
    return _NAME.fullmatch(word) is not None


def parse(text: str, file: str) -> dict[str, str]:
    """The values in `text`, called `file` in messages; a name without a value (`NAME:`) is left out.

    Raises ConfigError, without any value in it, for everything that is not a flat mapping of names to texts.
    """
    values: dict[str, str] = {}
    problems: list[Problem] = []
    for key, value in _pairs(text, file):
        name, why = _name(key), ""
        if not name:
            why = "this is no name of a secret"
        elif name in values:
            why = "the name is there twice"
        elif _type(value) == "null":
            continue
        elif _type(value) != "str":
            why = "the value is not text; put it in quotes"
        if why:
            problems.append(_problem(file, key, name, why))
        values.setdefault(name, value.value)
    if problems:
        raise ConfigError(problems)
    return values


def _pairs(text: str, file: str) -> Iterator[tuple[yaml.ScalarEvent, yaml.ScalarEvent]]:
    """Keys and values; raises ConfigError for any other shape."""
    inside, key = False, None
    documents = 0
    for event in _events(text, file):
        documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.ScalarEvent):
            if not inside and event.value:
                raise ConfigError([_problem(file, event, "", "not `NAME: value`")])
            if inside:
                if key:
                    yield key, event
                key = None if key else event
        elif isinstance(event, yaml.MappingStartEvent) and not inside:
            inside = True
        elif isinstance(event, (yaml.CollectionStartEvent, yaml.AliasEvent)):
            name = _name(key) if key else ""
            raise ConfigError([_problem(file, event, name, "not `NAME: value`; a value is text, nothing nested")])
        if documents > 1:
            raise ConfigError([_problem(file, event, "", "a second document begins; there must be one")])


def _events(text: str, file: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except (yaml.YAMLError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError([Problem(file, 0, "", "", f"{where}broken YAML")]) from None


def _name(key: yaml.ScalarEvent) -> str:
    """The name, where a key is one and can be shown; else nothing."""
    return key.value if _type(key) == "str" and looks_like_a_name(key.value) else ""


def _type(event: yaml.ScalarEvent) -> str:
    """Out: `str`, `int`, `null`… as everybody who reads YAML takes it."""
    if event.tag is not None or not event.implicit[0]:
        return "str" if event.tag in _TEXT else "tagged"
    tag = _RESOLVER.resolve(yaml.ScalarNode, event.value, (True, False))
    return str(tag).removeprefix(_TAG)


def _problem(file: str, event: yaml.Event, name: str, why: str) -> Problem:
    # The line is one of the text inside, not of the file, so it is no place that an editor could jump to.
    line = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
    return Problem(file, 0, name, "", f"{line}{why}")


class _Dumper(yaml.SafeDumper):
    """Writes texts so that people can read them and that they come back as they were."""


def _represent(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # YAML takes some characters beyond ASCII for line breaks: only in double quotes are all kept.
    style = None if _ONE_LINE.fullmatch(value) else "|" if _LINES.fullmatch(value) else '"'
    return dumper.represent_scalar(_TAG + "str", value, style=style)


_Dumper.add_representer(str, _represent)


def dump(values: Mapping[str, str]) -> str:
    """The text for `values`: `parse` gives them back. PEM and the like become blocks of lines."""
    return str(
        yaml.dump(dict(values), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**6, line_break="\n")
    )
