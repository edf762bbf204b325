"""Key pairs and self-signed certificates, as PEM."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(minutes=5)  # the clocks of the hosts may be behind ours
_LABEL = "[a-z0-9_][a-z0-9_-]*"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)


def key_pair() -> tuple[str, str]:
    """An Ed25519 key (PKCS #8) and its public half."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _private(key), public.decode()


def certificate(name: str, names: Sequence[str], days: int) -> tuple[str, str]:
    """A key (P-256) and its self-signed certificate for `names` (host names, with `*.`, and addresses).

    Without names it is for localhost. `name` is its subject. Raises ValueError for what cannot be a host's name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )
    for extension, critical in _extensions(names or ["localhost"], key.public_key()):
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(key, hashes.SHA256())
    return _private(key), made.public_bytes(serialization.Encoding.PEM).decode()


def _extensions(names: Sequence[str], public: ec.EllipticCurvePublicKey) -> list[tuple[x509.ExtensionType, bool]]:
    usage = dict.fromkeys(
        (
            "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
            "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return [
        (x509.SubjectAlternativeName([_host(one) for one in names]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        ascii_name = host.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if _HOST.fullmatch(ascii_name) is None:
        raise ValueError(f"`{host}` is neither a host's name nor an address")
    return x509.DNSName(ascii_name)


def _private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
