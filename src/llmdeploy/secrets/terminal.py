"""What a person types and nobody sees."""

from __future__ import annotations

import getpass
import sys
import warnings
from collections.abc import Callable

from llmdeploy.errors import UsageError

MOST = 1024 * 1024  # bytes of standard input; a value is shorter
Ask = Callable[[str], str]  # a question to what is typed


def terminal() -> Ask | None:
    """How to ask somebody; None where nobody is there to ask."""
    return ask_hidden if sys.stdin is not None and sys.stdin.isatty() else None


def ask_hidden(question: str) -> str:
    """What is typed at the terminal. Raises UsageError when there is no answer, or when it would be shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(question)
    except getpass.GetPassWarning:
        raise UsageError("this terminal would show what is typed; nothing was changed") from None
    except EOFError:
        raise UsageError("nothing was typed; nothing was changed") from None


def value_of(part: str, ask: Ask | None) -> str:
    """A new value for `part`: what standard input has, else what a person types twice.

    Of a single line the line break at its end is left out; several lines (a PEM file, say) stay as they are.
    Raises UsageError when there is none.
    """
    if sys.stdin is None or sys.stdin.isatty():
        if ask is None:
            raise UsageError("there is nobody to ask for the value", hint="give it on standard input: … < FILE")
        return ask_twice(f"value of {part}: ", ask)
    data = sys.stdin.buffer.read(MOST + 1)
    if not data:
        raise UsageError("standard input is empty; nothing was changed")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise UsageError("standard input is not UTF-8 text; nothing was changed") from None
    line, _, more = text.partition("\n")
    return text if more else line.removesuffix("\r")


def ask_twice(question: str, ask: Ask) -> str:
    """What is typed, the same twice. Raises UsageError when it is empty or differs."""
    first = ask(question)
    if not first:
        raise UsageError("nothing was typed; nothing was changed")
    if ask("once more: ") != first:
        raise UsageError("the two are not the same; nothing was changed")
    return first
