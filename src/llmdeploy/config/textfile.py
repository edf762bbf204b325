"""Reading a text file of the project, with every way it can fail as a problem."""

from __future__ import annotations

from pathlib import Path

from llmdeploy.errors import ConfigError, Problem

LIMIT = 1024 * 1024  # a configuration of a megabyte is a mistake, and slow to parse


def refuse(file: str, line: int, why: str, hint: str = "", *, path: str = "", value: str = "") -> ConfigError:
    """A ConfigError with the one problem described, to be raised by the caller."""
    return ConfigError([Problem(file, line, path, value, why, hint)])


def read_text(path: Path, name: str, *, missing: str = "") -> str:
    """The text of `path`, called `name` in messages; `missing` is the hint when it is not there.

    Raises ConfigError when the file is missing, unreadable, too large or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(LIMIT + 1)
    except FileNotFoundError:
        raise refuse(name, 0, "file not found", missing) from None
    except IsADirectoryError:
        raise refuse(name, 0, "is a folder; a file is expected") from None
    except OSError as error:
        raise refuse(name, 0, f"cannot be read: {error.strerror or error}") from None
    if len(data) > LIMIT:
        raise refuse(name, 0, "is larger than 1 MB; this is no configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refuse(name, line, "is not UTF-8 text", "save the file as UTF-8") from None
