"""The edge's certificate for an environment: issued by its authority, or read from the files that it names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from llmdeploy.errors import ConfigError, Problem
from llmdeploy.release.tls import NOT_YET, EdgeTls
from llmdeploy.render.images import edge_hosts
from llmdeploy.secrets import keys
from llmdeploy.secrets.password import find_password
from llmdeploy.secrets.terminal import terminal
from llmdeploy.secrets.vault import decrypt
from llmdeploy.tls.given import WrongError, checked, read
from llmdeploy.tls.issue import issue

if TYPE_CHECKING:
    from llmdeploy.config import Environment
    from llmdeploy.tls.certificate import Certificate

HERE = ("localhost", "127.0.0.1")


def certificate_for(env: Environment, authority: str) -> Certificate:
    """The certificate that the edge of `env` shall have now; `authority` is the secret of that name, for `internal`.

    Raises ConfigError for a file that is wrong, SecretsError where the authority, or an encrypted key, will not do.
    """
    now = datetime.now(timezone.utc)
    if env.settings.tls.mode == "internal":
        return issue(authority, names_of(env), now)
    tls = env.settings.tls
    try:
        named = {"certificate": tls.certificate, "key": tls.key, "authority": tls.authority}
        return checked(read(env.project.root, named, lambda data, file: _decrypted(env, data, file)), tls.names, now)
    except WrongError as wrong:
        value = getattr(tls, wrong.key)
        problem = env.origins.problem(("tls", wrong.key), wrong.why, wrong.hint, value=value)
        raise ConfigError([problem]) from None


def known(env: Environment, authority_file: Path) -> EdgeTls:
    """What checks have to know, without a key. Raises ConfigError for a file that cannot be read."""
    tls = env.settings.tls
    internal = tls.mode == "internal"
    file = authority_file if internal else (env.project.root / tls.authority if tls.authority else None)
    try:
        authority = file.read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(file), 0, "", "", f"cannot be read: {error}")]) from None
    names = tuple(names_of(env) if internal else tls.names)
    return replace(NOT_YET, authority=authority, name=names[0], names=names)


def names_of(env: Environment) -> list[str]:
    """The names and addresses that clients may use: those that the settings say, then those of the edge hosts."""
    return list(dict.fromkeys([*env.settings.tls.names, *_of_hosts(env), *HERE]))


def _of_hosts(env: Environment) -> Iterator[str]:
    for host in edge_hosts(env):
        for name in (host.address, host.variables.get("llmdeploy_advertise_addr"), host.name):
            with suppress(ValueError):  # an inventory may call a host what no host can be called
                keys.host(str(name or ""))
                yield str(name)


def _decrypted(env: Environment, data: bytes, file: str) -> str:
    return decrypt(data, find_password(env.project.root, os.environ, terminal()), file)
