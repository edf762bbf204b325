"""What is refused before a host is contacted: a file that is no secret any more, values that are none.

Pure. Problems name file, key and the command to run; never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmdeploy.errors import Problem
from llmdeploy.secrets.placeholders import is_placeholder

HEADER = b"$ANSIBLE_VAULT"
LIMIT = 500 * 1024  # Docker takes less than this for a secret


@dataclass(frozen=True)
class Facts:
    """What is known of a secrets file: its first bytes, its mode, and its versions in git by where they are."""

    begins: bytes
    mode: int
    in_git: Mapping[str, bytes]


def of_file(file: str, facts: Facts) -> list[Problem]:
    """What is wrong with the secrets file called `file`."""
    found = []
    if not facts.begins.startswith(HEADER):
        hint = f"ansible-vault encrypt {file}"
        if facts.begins.startswith(b"<<<<<<<"):
            hint = "git has left a conflict in it; take one of the two versions: git checkout --ours or --theirs"
        found.append(Problem(file, 0, "", "", "is not encrypted", hint))
    if facts.mode & 0o077:
        why = f"others may read it (mode {facts.mode & 0o777:04o})"
        found.append(Problem(file, 0, "", "", why, f"chmod 600 {file}"))
    for where, content in facts.in_git.items():
        if content.strip() and not content.startswith(HEADER):
            hint = "encrypt it, commit that, and change every value in it: whoever has the repository has them"
            found.append(Problem(file, 0, "", "", f"is in {where} unencrypted", hint))
    return found


def wrong_with(part: str, value: str) -> str:
    """Why `value` must not be the value of `part`; empty where it may. The value is not in it."""
    if why := unusable(value):
        return why
    if not value.strip():
        return "the value is empty"
    return "the value is a placeholder or a well-known default" if is_placeholder(part, value) else ""


def unusable(value: str) -> str:
    """Why Docker could not keep `value`; empty where it could. The value is not in it."""
    if "\0" in value:
        return "the value has a NUL byte in it"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "the value is not UTF-8 text"
    if size >= LIMIT:
        return f"the value has {size // 1024} KB; Docker takes less than {LIMIT // 1024} KB"
    return ""
