"""Secrets out of a file from elsewhere: YAML, or KEY=VALUE lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import ConfigError, Problem
from llmdeploy.secrets.checks import wrong_with
from llmdeploy.secrets.plaintext import looks_like_a_name, parse

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"(['\"])(.*)\1")


def imported(text: str, file: str, known: Collection[str]) -> dict[str, str]:
    """The values in `text`, the content of `file`, by the parts of `known` that they are for.

    Raises ConfigError with every name that is not known and every value that will not do; no value is in it.
    """
    values = _lines(text, known)
    if values is None:
        values = parse(text, file)
    problems = [problem for name, value in values.items() for problem in _problems(name, value, file, known)]
    if problems:
        raise ConfigError(problems)
    return dict(values)


def _lines(text: str, known: Collection[str]) -> dict[str, str] | None:
    """The values of KEY=VALUE lines; None where the file has others. Names in capitals are those in small letters.

    A value in quotes is what is between them; nothing else is interpreted.
    """
    values = {}
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _LINE.fullmatch(bare)
        if found is None:
            return None
        name = found[1] if found[1] in known else found[1].lower()
        quoted = _QUOTED.fullmatch(found[2])
        values[name] = quoted[2] if quoted else found[2]
    return values


def _problems(name: str, value: str, file: str, known: Collection[str]) -> list[Problem]:
    if name not in known:
        shown = name if looks_like_a_name(name) else ""
        return [Problem(file, 0, shown, "", "nobody declares a secret of this name", did_you_mean(name, known))]
    why = wrong_with(name, value)
    return [Problem(file, 0, name, "", why)] if why else []
