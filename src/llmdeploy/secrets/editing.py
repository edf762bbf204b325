"""A text in somebody's editor, without ever being on a disk."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmdeploy.errors import SecretsError
from llmdeploy.secrets.programs import child_environment, ended

MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own in it, that nobody else may enter)
MOUNTS = Path("/proc/self/mounts")
# It keeps parts of a text elsewhere: deleted lines in ~/.viminfo, swap and backup files where it is told to.
_VIM = ("-n", "-i", "NONE", "-c", "silent! set nobackup nowritebackup noundofile")


def edited(text: str, name: str, *, hidden: Iterable[str] = ()) -> str:
    """What a person makes of `text` in $VISUAL, $EDITOR or vi, in a file called `name` in memory.

    The variables `hidden` are not handed to the editor. Raises SecretsError when there is no memory to put it in, or
    the editor fails.
    """
    folder = tempfile.mkdtemp(prefix="llmdeploy-", dir=memory_folder())  # 0700
    try:
        with _tidy_at_signals():
            file = Path(folder) / name
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
                stream.write(text)
            _edit(file, hidden)
            return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise SecretsError("what the editor wrote is not UTF-8 text; nothing was changed") from None
    except FileNotFoundError:
        raise SecretsError("the editor has removed the file; nothing was changed") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory_folder() -> Path:
    """A folder that is not on a disk. Raises SecretsError when there is none."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        mounts = []
    kinds = [mount[2] for mount in mounts if len(mount) > 2 and mount[1] == str(MEMORY)]
    if not kinds or kinds[-1] not in ("tmpfs", "ramfs") or not os.access(MEMORY, os.W_OK):
        raise SecretsError(
            f"there is no file system in memory at {MEMORY}, and secrets are not written to a disk for an editor",
            hint="`secrets set NAME` and `secrets import FILE` need none",
        )
    return MEMORY


def editor(environ: dict[str, str]) -> list[str]:
    """The command of the person's editor. Raises SecretsError for one that cannot be understood."""
    wanted = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    try:
        command = shlex.split(wanted)
    except ValueError:
        command = []
    if not command:
        raise SecretsError(f"$VISUAL or $EDITOR is no command: {wanted}")
    real = Path(os.path.realpath(shutil.which(command[0]) or command[0])).name
    return [*command, *(_VIM if real.startswith(("vim", "nvim")) else ())]


def _edit(file: Path, hidden: Iterable[str]) -> None:
    environ = child_environment(hidden)
    command = editor(environ)
    try:
        code = subprocess.call([*command, str(file)], env=environ)
    except OSError as error:
        raise SecretsError(
            f"the editor `{command[0]}` cannot be run: {error.strerror}; nothing was changed", hint="export EDITOR=…"
        ) from None
    if code:
        raise SecretsError(f"the editor `{command[0]}` {ended(code)}; nothing was changed")


@contextlib.contextmanager
def _tidy_at_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal become an exception, so that the file is removed; Ctrl-C is the editor's."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
