"""Encryption, in the format of ansible-vault."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

from llmdeploy.config.untouched import untouched
from llmdeploy.errors import SecretsError
from llmdeploy.secrets.password import Password


def encrypt(text: str, password: Password) -> bytes:
    """The whole content of a file that `ansible-vault view` shows as `text`."""
    vault = _ansible()
    secret = vault.VaultSecret(password.value)
    # A salt of our own: a fixed one of Ansible's configuration would encrypt every version with the same key stream.
    return bytes(vault.VaultLib().encrypt(text.encode(), secret=secret, salt=os.urandom(32)))


def decrypt(data: bytes, password: Password, file: str) -> str:
    """The text in `data`, the content of `file`. Raises SecretsError when it does not open, or is damaged."""
    vault = _ansible()
    try:
        label = vault.parse_vaulttext_envelope(data)[3]
        content = vault.VaultLib([(label, vault.VaultSecret(password.value))]).decrypt(data)
        return bytes(content).decode()
    except vault.AnsibleVaultFormatError:
        why = f"{file} is damaged: it is no whole file of ansible-vault"
        raise SecretsError(why, hint="put it back from git or from a backup") from None
    except UnicodeDecodeError:
        raise SecretsError(f"{file} is not UTF-8 text inside") from None
    except vault.AnsibleError:
        why = "it is another one, or the file was damaged"
        raise SecretsError(f"{file} does not open with the password from {password.source}: {why}") from None


def _ansible() -> Any:
    """Ansible's own module for it; loaded when it is needed, because that takes half a second."""
    if "ansible.parsing.vault" not in sys.modules:
        with untouched():
            import_module("ansible.parsing.vault")
    return sys.modules["ansible.parsing.vault"]
