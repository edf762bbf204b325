"""Runs a small script of the standard library on hosts, over standard input: nothing is installed or left there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from llmdeploy.cluster.access import Access
from llmdeploy.errors import LlmdeployError, UnreachableError

SSH_FAILED = 255  # ssh's own exit status for "no connection"
Result = TypeVar("Result")


def run_script(access: Access, text: str, *, timeout: float = 20.0) -> str:
    """Standard output of the Python script `text`, run as root on the host.

    Raises UnreachableError (no connection, no rights) or LlmdeployError (the script failed).
    """
    return run(access, ["python3", "-I", "-"], text.encode(), timeout=timeout)


def run(access: Access, argv: Sequence[str], stdin: bytes = b"", *, timeout: float = 20.0) -> str:
    """Standard output of `argv`, run as root on the host; errors as in `run_script`."""
    try:
        done = subprocess.run(
            access.command(argv), input=access.prefix() + stdin, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(
            f"{access.host} did not answer within {timeout:g} s (tried {access.tried})",
            hint="is the host up, and does it answer on this address?",
        ) from None
    except FileNotFoundError as error:
        raise UnreachableError(f"{access.host}: the command {error.filename} is not installed here") from None
    if done.returncode:
        raise explain(access, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def on_all(accesses: Sequence[Access], work: Callable[[Access], Result]) -> dict[str, Result | LlmdeployError]:
    """`work` on every host at once; host name → its result, or the error it raised."""

    def one(access: Access) -> Result | LlmdeployError:
        try:
            return work(access)
        except LlmdeployError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(32, len(accesses) or 1)) as pool:
        results = pool.map(one, accesses)
        return {access.host: result for access, result in zip(accesses, results, strict=True)}


_REASONS = [
    (r"Permission denied \(", "the host refused our key", "is the key in authorized_keys of that user there?"),
    (r"REMOTE HOST IDENTIFICATION", "the host key has changed",
     "find out who answers there; if it was set up anew: llmdeploy ENV trust --replace, or ssh-keygen -R ADDRESS"),
    (r"Host key verification failed", "the host key is not known to this machine",
     "llmdeploy ENV trust shows its fingerprint and records it"),
    (r"Connection refused", "connection refused", "is sshd running on that port?"),
    (r"timed out|Operation timed out", "no answer", "is the host up, and is the port open?"),
    (r"Could not resolve|Name or service not known", "the name is unknown", "check ansible_host in the inventory"),
    (r"No route to host|unreachable", "no route to the host", "is the host up, and on this network?"),
    (r"a password is required|sudo: a terminal", "sudo asks for a password",
     "--ask-become-pass asks you for it; or let the user use sudo without (NOPASSWD), or connect as root"),
    (r"incorrect password|Sorry, try again", "sudo refused the password", "check the password given"),
    (r"not in the sudoers", "the user may not use sudo", "allow sudo for the user, or connect as root"),
]  # fmt: skip


def together(what: str, errors: Sequence[LlmdeployError]) -> str:
    """One message of several hosts' errors: a line for each when there is more than one."""
    if len(errors) == 1:
        return errors[0].message
    return "\n  ".join([f"{what}:", *(error.message for error in errors)])


def explain(access: Access, code: int, stderr: str) -> LlmdeployError:
    """The error for a command that failed with `code`: plain words, what was tried, what to do."""
    for pattern, reason, hint in _REASONS:
        if re.search(pattern, stderr, re.IGNORECASE):
            message = f"{access.host}: {reason} (tried {access.tried})"
            return UnreachableError(message, hint=hint.replace("ADDRESS", access.address))
    last = next((line for line in reversed(stderr.strip().splitlines()) if line.strip()), f"exit status {code}")
    if code == SSH_FAILED and not access.local:
        return UnreachableError(f"{access.host}: {last} (tried {access.tried})")
    return LlmdeployError(f"{access.host}: {last}")
