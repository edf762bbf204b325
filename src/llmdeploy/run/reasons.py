"""What ssh and modules say, in words that help. Pure: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmdeploy.events import as_mapping, as_text

# The first pattern that matches wins; {0} is its first group.
_SSH_REASONS: tuple[tuple[str, str], ...] = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key .*(?:has changed|differs)", "host key changed"),
    (r"Host key verification failed|No .*host key is known", "host key not known to this machine"),
    (r"(Permission denied \([^)]*\))", "{0}"),
    (r"Permission denied|Authentication failed|Invalid/incorrect (?:username/)?password", "permission denied"),
    (r"Too many authentication failures", "too many authentication failures (offer one key only)"),
    (r"Could not resolve hostname (\S+?):", "host name {0} is unknown"),
    (r"Connection refused", "connection refused"),
    (r"No route to host", "no route to host"),
    (r"Network is unreachable", "network is unreachable"),
    (r"Connection timed out|Operation timed out|timed out|Timeout", "timed out after {seconds} s"),
    (r"Connection (?:reset|closed)|Broken pipe|lost connection", "the connection was closed by the other side"),
    (r"sudo: a password is required|Missing sudo password", "sudo needs a password (--ask-become-pass)"),
    (r"Bad configuration option|Bad owner or permissions", "ssh refuses its own configuration"),
)
_SSH_HINTS: tuple[tuple[str, str], ...] = (
    ("host key changed", "find out who answers; if the host was set up anew: llmdeploy ENV trust --replace"),
    ("host key not known", "llmdeploy ENV trust shows its fingerprint and records it"),
    ("permission denied", "is your key in ~/.ssh/authorized_keys there? try the same with ssh"),
    ("connection refused", "is sshd running there, and is it the right port?"),
    ("timed out", "is the host up, and does a firewall let port 22 through?"),
    ("is unknown", "check ansible_host in the inventory"),
)
_PREFIXES = re.compile(
    r"^(?:(?:Task failed|Module failed|Failed to connect to the host via ssh|Action failed|ssh):\s*)+", re.IGNORECASE
)
# What Ansible says when the message is in the module's output instead.
_EMPTY_MESSAGES = re.compile(
    r"^(?:non-zero return code|MODULE FAILURE|Module result deserialization failed|One or more items failed|$)"
)
LONGEST = 600
MOST_LINES = 14


def unreachable_reason(message: str, seconds: int = 5) -> str:
    """In: Ansible's message for an unreachable host, the connection timeout. Out: the reason in plain words."""
    for pattern, words in _SSH_REASONS:
        found = re.search(pattern, message, re.IGNORECASE)
        if found:
            reason = words.format(*found.groups(), seconds=seconds)
            return reason[0].lower() + reason[1:]
    return shorten(_last_line(_PREFIXES.sub("", message.strip())) or "unreachable")


def unreachable_hint(reason: str) -> str:
    """In: a reason of `unreachable_reason`. Out: what to try, may be empty."""
    return next((hint for words, hint in _SSH_HINTS if words in reason), "")


def failure_message(res: Mapping[str, Any]) -> str:
    """In: the result of a failed task. Out: why, with the module's own error output where the message says nothing."""
    if "censored" in res:
        return "failed; its output is hidden because the task handles secrets"
    message = _PREFIXES.sub("", as_text(res.get("msg")).strip())
    if not _EMPTY_MESSAGES.match(message):
        return shorten_lines(message)
    tail = _first_text(res, ("module_stderr", "stderr", "module_stdout", "stdout")) or _items(res)
    code = f" (exit {res['rc']})" if res.get("rc") not in (None, 0) else ""
    return shorten(f"{message or 'failed'}{code}: {tail}" if tail else f"{message or 'failed'}{code}")


def shorten(text: str, longest: int = LONGEST) -> str:
    """In: text of any length. Out: its beginning, marked where something is missing."""
    text = text.strip()
    return text if len(text) <= longest else f"{text[: longest - 2].rstrip()} …"


def shorten_lines(text: str) -> str:
    """In: an error, the output of a command behind it. Out: the first line and the last ones, there it stands why."""
    lines = [shorten(line) for line in text.splitlines()]
    if len(lines) <= MOST_LINES:
        return "\n".join(lines).strip()
    return "\n".join([lines[0], "…", *lines[-(MOST_LINES - 2) :]])


def _first_text(res: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """The last few lines of the first of these outputs that has any: that is where the error stands."""
    for key in keys:
        lines = [line.strip() for line in as_text(res.get(key)).splitlines() if line.strip()]
        if lines:
            return "\n".join(lines[-3:])
    return ""


def _items(res: Mapping[str, Any]) -> str:
    results = res.get("results")
    failed = [as_mapping(item) for item in results] if isinstance(results, list) else []
    return "; ".join(failure_message(item) for item in failed if item.get("failed") and "results" not in item)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
