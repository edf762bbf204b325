"""A certificate that people give as files: read and checked before a host is contacted."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509 import verification as chains

from llmdeploy.secrets import keys
from llmdeploy.tls.certificate import Certificate


class WrongError(Exception):
    """What is wrong with one of the files; `key` is its name in the settings."""

    def __init__(self, key: str, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.key, self.why, self.hint = key, why, hint


@dataclass(frozen=True)
class Files:
    """What is in the files: PEM texts. `authority` is empty where clients and hosts trust it anyway."""

    certificate: str
    key: str
    authority: str = ""


def read(root: Path, named: dict[str, str | None], decrypt: Callable[[bytes, str], str]) -> Files:
    """The files `named` (certificate, key, authority) in the project `root`; a key may be encrypted by ansible-vault.

    `decrypt` is given an encrypted file's content and its name. Raises WrongError for one that cannot be used.
    """
    texts: dict[str, str] = {}
    for key, name in named.items():
        if name:
            texts[key] = _text(key, root / name, name, decrypt)
    return Files(**texts)


def _text(key: str, path: Path, name: str, decrypt: Callable[[bytes, str], str]) -> str:
    try:
        data, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise WrongError(key, f"`{name}` cannot be read: {error.strerror}") from None
    if data.startswith(b"$ANSIBLE_VAULT"):
        return decrypt(data, name)
    if key == "key" and mode & 0o077:
        raise WrongError(key, f"others may read `{name}` (mode {mode & 0o777:04o})", f"chmod 600 {name}")
    return data.decode("utf-8", "replace")


def checked(files: Files, names: Sequence[str], now: datetime) -> Certificate:
    """The certificate, which its key, its chain, its dates and all `names` have to fit. Raises WrongError."""
    try:
        chain = x509.load_pem_x509_certificates(files.certificate.encode())
    except ValueError:
        raise WrongError("certificate", "is no certificate in PEM form") from None
    try:
        own_key = keys.key_in(files.key)
    except ValueError:
        raise WrongError("key", "is no key in PEM form, or it needs a password") from None
    if own_key.public_key() != chain[0].public_key():
        raise WrongError("key", "is not the key of the certificate", "the certificate must be the first in its file")
    _dates(chain, now)
    store = chains.Store(_trusted(files.authority))
    for name in names:
        _verify(store, chain, name, now)
    found = keys.KEY.search(files.key)
    pem = "".join(keys.pem(one) for one in chain) + (found[0] if found else files.key).strip() + "\n"
    return Certificate(pem, files.authority, tuple(names), min(one.not_valid_after_utc for one in chain))


def _dates(chain: Sequence[x509.Certificate], now: datetime) -> None:
    for place, one in enumerate(chain, 1):
        which = "" if place == 1 else f"certificate {place} of the chain "
        if now > one.not_valid_after_utc:
            raise WrongError("certificate", f"{which}expired on {one.not_valid_after_utc:%Y-%m-%d}")
        if now < one.not_valid_before_utc:
            raise WrongError("certificate", f"{which}is valid from {one.not_valid_before_utc:%Y-%m-%d %H:%M} on only")


def _trusted(authority: str) -> list[x509.Certificate]:
    """The authorities that count: the one given, else those of this machine."""
    if authority:
        try:
            return x509.load_pem_x509_certificates(authority.encode())
        except ValueError:
            raise WrongError("authority", "is no certificate in PEM form") from None
    found = list(_of_this_machine())
    if not found:
        why = "this machine has no list of trusted authorities to check it by"
        raise WrongError("certificate", why, "name its authority's certificate: tls.authority")
    return found


def _of_this_machine() -> Iterator[x509.Certificate]:
    with warnings.catch_warnings(action="ignore"):  # some old authorities' certificates are not quite right
        for one in ssl.create_default_context().get_ca_certs(binary_form=True):
            with suppress(ValueError):
                yield x509.load_der_x509_certificate(one)


def _verify(store: chains.Store, chain: Sequence[x509.Certificate], name: str, now: datetime) -> None:
    host = keys.host(name)
    if not _is_for(chain[0], host):
        raise WrongError("certificate", f"is not for {name}", "tls.names are the names that clients use")
    # Only what every client asks for: the rules of the public web's authorities do not hold for a company's own.
    permitted, either = chains.ExtensionPolicy.permit_all(), chains.Criticality.AGNOSTIC
    issuers = permitted.require_present(x509.BasicConstraints, either, None)
    ends = permitted.require_present(x509.SubjectAlternativeName, either, None)
    policy = chains.PolicyBuilder().store(store).time(now).extension_policies(ca_policy=issuers, ee_policy=ends)
    subject = x509.DNSName(_concrete(name)) if isinstance(host, x509.DNSName) else host
    try:
        policy.build_server_verifier(subject).verify(chain[0], list(chain[1:]))
    except chains.VerificationError:
        why = "no trusted authority stands behind it"
        hint = "its file needs every certificate up to the authority's; tls.authority names one of your own"
        raise WrongError("certificate", why, hint) from None


def _is_for(certificate: x509.Certificate, host: x509.DNSName | x509.IPAddress) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if isinstance(host, x509.IPAddress):
        return host.value in names.get_values_for_type(x509.IPAddress)
    known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    wanted = host.value.lower()
    return wanted in known or f"*.{wanted.partition('.')[2]}" in known


def _concrete(name: str) -> str:
    """A name that `name` stands for: a chain is verified for a host, not for a pattern."""
    return f"any{name[1:]}" if name.startswith("*.") else name
