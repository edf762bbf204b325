"""The one place where results and errors of verbs are printed, for people or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from llmdeploy.errors import Exit, LlmdeployError
from llmdeploy.view.gone import unless_gone
from llmdeploy.view.jsonlines import dumps, envelope

_SELF_EXPLAINING = ("verify", "doctor")  # their tables say what their errors say


def show_outcome(
    command: str,
    kind: str,
    data: Mapping[str, Any],
    *,
    exit_code: Exit = Exit.DONE,
    errors: Sequence[Mapping[str, Any]] = (),
    json: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> None:
    """Prints what a verb gave back: a table for `kind` on stdout and its errors on stderr, or one JSON envelope."""
    out, err = out or sys.stdout, err or sys.stderr
    with unless_gone():
        if json:
            _write(out, dumps(envelope(command, exit_code, data, errors)))
        else:
            _outcome(kind, data, exit_code, errors, out, err)


def _outcome(
    kind: str, data: Mapping[str, Any], exit_code: Exit, errors: Sequence[Mapping[str, Any]], out: TextIO, err: TextIO
) -> None:
    from llmdeploy.view import people  # noqa: PLC0415  # rich is not loaded where a program reads

    people.table(kind, data, out)
    out.flush()
    if kind not in _SELF_EXPLAINING:
        for error in errors:
            wanted = exit_code == Exit.INTERRUPTED
            people.message(str(error.get("message", "")), str(error.get("hint", "")), err, wanted=wanted)


def show_error(
    command: str,
    error: LlmdeployError,
    *,
    json: bool = False,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> None:
    """Prints why a verb failed: message and hint on stderr, every problem of a ConfigError; or one JSON envelope."""
    out, err = out or sys.stdout, err or sys.stderr
    with unless_gone():
        if json:
            entry = {"message": error.message, "hint": error.hint, **error.details}
            _write(out, dumps(envelope(command, error.exit_code, {}, [entry])))
            return
        from llmdeploy.view import people  # noqa: PLC0415

        people.error(error, err)
        err.flush()


def _write(out: TextIO, text: str) -> None:
    out.write(f"{text}\n")
    out.flush()
