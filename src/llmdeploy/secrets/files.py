"""Files that only their owner may read: read, and written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmdeploy.errors import SecretsError

LIMIT = 32 * 1024 * 1024  # some fifty of the largest secrets; more is no file of ours


def read(path: Path) -> bytes | None:
    """What is in `path`, None where there is nothing. Raises SecretsError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretsError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > LIMIT:
        raise SecretsError(f"{path} is larger than {LIMIT // 1024**2} MB; these are no secrets")
    return data


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else who asks for this changes a file in `folder` meanwhile; waits for whoever does.

    Not to be entered twice by one process. Raises SecretsError when the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SecretsError(f"{folder} cannot be used: {error.strerror}") from None
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then there is no waiting for others
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_all(contents: Mapping[Path, bytes]) -> None:
    """Puts `contents` in the place of these files, mode 0600: all of them, or none.

    Everything is on the disk under another name before the first file changes. Raises SecretsError.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            target = path.resolve()  # what a link leads to is replaced, not the link
            if target not in staged:  # two links to one file
                staged[target] = _staged(target, data)
        _move(staged)
    except OSError as error:
        names = ", ".join(path.name for path in contents)
        raise SecretsError(f"cannot write {names}: {error.strerror}; nothing was changed") from None
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _staged(target: Path, data: bytes) -> Path:
    """A new file beside `target` with this content, safely on the disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _move(staged: Mapping[Path, Path]) -> None:
    """Each into its place; when one fails, those before it are put back as they were."""
    before = {target: read(target) for target in staged}
    moved: list[Path] = []
    try:
        for target, temporary in staged.items():
            temporary.replace(target)
            moved.append(target)
    except OSError:
        for target in moved:
            old = before[target]
            if old is None:
                target.unlink()
            else:
                _staged(target, old).replace(target)
        raise
    for folder in {target.parent for target in staged}:
        _sync(folder)


def _sync(folder: Path) -> None:
    """The new names are on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every file system can
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
