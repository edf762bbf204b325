"""Host variables that would run a program on this machine, refused before anything is read or contacted. Pure.

Whoever clones a project may look at its plan without running what is in it. What must run a program here belongs into
the person's own ~/.ssh/config.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
_ARGUMENTS = tuple(f"ansible_{name}" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args", "sftp_extra_args"))
_PROGRAMS = {"ansible_ssh_executable": "ssh", "ansible_sftp_executable": "sftp", "ansible_scp_executable": "scp"}
# Of ssh_config(5): what runs a program or loads a library here.
_RUNS = frozenset(
    {
        "proxycommand", "localcommand", "permitlocalcommand", "knownhostscommand", "pkcs11provider",
        "securitykeyprovider", "xauthlocation", "include", "match",
    }
)  # fmt: skip
_FLAGS = {"-F": "reads another configuration of ssh", "-I": "loads a library", "-E": "writes a file"}
_PLAIN = re.compile(r"[\w@%+=:,./ -]*")
_WORDS = ("ansible_python_interpreter", "ansible_become_exe", "ansible_become_flags", "ansible_shell_executable")
_USERS = ("ansible_user", "ansible_ssh_user", "ansible_become_user")
_LOOKUPS = ("lookup", "query", "q")
_ALLOWED = ("env", "ansible.builtin.env")
OWN_CONFIGURATION = "put it into your own ~/.ssh/config"


def host_problems(name: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, str]]:
    """Key (empty for the name), value, why and hint of everything about a host that is refused."""
    if not HOST_NAME.fullmatch(name):
        yield "", name, "is not a host's name: letters, digits, `.`, `-`, `_` and `:`", ""
    for key, value in variables.items():
        text = "" if value is None else str(value)
        if key in _ARGUMENTS:
            why = _arguments(text)
            if why:
                yield key, text, why, OWN_CONFIGURATION
        elif key in _PROGRAMS:
            if text not in ("", _PROGRAMS[key], f"/usr/bin/{_PROGRAMS[key]}"):
                yield key, text, "names another program to run on this machine", "leave it out"
        elif key in _WORDS:
            if not _PLAIN.fullmatch(text) and "{{" not in text:
                yield key, text, "holds characters that a shell would act on", "write a path, and plain options"
        elif key in _USERS and (text.startswith("-") or not re.fullmatch(r"[\w.@\\+-]*\$?", text)):
            yield key, text, "is not a user's name", ""


def runs(template: Any) -> str:
    """Why a value with templates is not filled in, by us or by Ansible: the lookup it asks; empty where it may be."""
    if isinstance(template, Mapping):
        return next((why for one in (*template, *template.values()) if (why := runs(one))), "")
    if isinstance(template, (list, tuple)):
        return next((why for one in template if (why := runs(one))), "")
    if not isinstance(template, str) or not ("{{" in template or "{%" in template):
        return ""
    from jinja2 import Environment, TemplateSyntaxError, nodes  # noqa: PLC0415 - rare, and Ansible has it loaded then

    try:
        tree = Environment(autoescape=True).parse(template)
    except TemplateSyntaxError:
        return ""  # nobody can fill it in
    calls = [call for call in tree.find_all(nodes.Call) if call.args and isinstance(call.args[0], nodes.Const)]
    harmless = {id(call.node) for call in calls if call.args[0].as_const() in _ALLOWED}
    asks = [one.name for one in tree.find_all(nodes.Name) if one.name in _LOOKUPS and id(one) not in harmless]
    return f"its template asks `{asks[0]}` for something other than `env`" if asks else ""


def _arguments(text: str) -> str:
    """What is wrong with arguments for ssh; empty for nothing."""
    if "{{" in text:
        return ""  # nobody could fill it in, which is told
    try:
        words = shlex.split(text)
    except ValueError as error:
        return f"cannot be split into words: {error}"
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("-o"):
            option, _, value = (word[2:] or following).strip().replace("=", " ", 1).partition(" ")
            if option.lower() in _RUNS and value.strip().lower() not in ("none", "no"):
                return f"`{option}` runs a program on this machine"
        elif word[:2] in _FLAGS:
            return f"`{word[:2]}` {_FLAGS[word[:2]]}"
    return ""
