"""Key pairs and certificates, as PEM."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS = 3650
_SKEW = timedelta(minutes=5)  # the clocks of the hosts may be behind ours
_LABEL = "[a-z0-9_][a-z0-9_-]*"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)


def key_pair() -> tuple[str, str]:
    """An Ed25519 key (PKCS #8) and its public half."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private(key), public.decode()


def certificate(name: str, names: Sequence[str], days: int) -> tuple[str, str]:
    """A key (P-256) and its self-signed certificate for `names` (host names, with `*.`, and addresses).

    Without names it is for localhost. `name` is its subject. Raises ValueError for what cannot be a host's name.
    """
    key, begins, ends = _fresh(days)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    unsigned = builder(subject, subject, key.public_key(), begins, ends).serial_number(x509.random_serial_number())
    for extension, critical in host_extensions(names or ["localhost"], key.public_key()):
        unsigned = unsigned.add_extension(extension, critical=critical)
    return private(key), pem(unsigned.sign(key, hashes.SHA256()))


def authority() -> str:
    """A new authority: its certificate and its key (P-256). It may issue certificates of hosts only."""
    key, begins, ends = _fresh(_AUTHORITY_DAYS)
    number = x509.random_serial_number()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"llmdeploy authority {number:040x}"[:28])])
    unsigned = builder(subject, subject, key.public_key(), begins, ends).serial_number(number)
    for extension, critical in (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage("key_cert_sign", "crl_sign"), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ):
        unsigned = unsigned.add_extension(extension, critical=critical)
    return pem(unsigned.sign(key, hashes.SHA256())) + private(key)


def opened(text: str) -> tuple[x509.Certificate, PrivateKeyTypes]:
    """The first certificate in `text` and its key.

    Raises ValueError where one of them is missing or is not the other's.
    """
    first, key = x509.load_pem_x509_certificate(text.encode()), key_in(text)
    if first.public_key() != key.public_key():
        raise ValueError("the key is not the certificate's")
    return first, key


def key_in(text: str) -> PrivateKeyTypes:
    """The private key in `text`. Raises ValueError where there is none, or one that needs a password."""
    found = KEY.search(text)
    try:
        return serialization.load_pem_private_key((found[0] if found else text).encode(), None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None


def builder(
    subject: x509.Name, issuer: x509.Name, public: CertificatePublicKeyTypes, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    """A certificate that has no number, no extensions and no signature yet."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def host_extensions(
    names: Sequence[str], public: ec.EllipticCurvePublicKey, issuer: x509.Certificate | None = None
) -> list[tuple[x509.ExtensionType, bool]]:
    """What a certificate for hosts has, and whether it is critical; without `issuer` it is self-signed.

    Raises ValueError for what cannot be a host's name.
    """
    known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(public)
    if issuer:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        known_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    return [
        (x509.SubjectAlternativeName([host(one) for one in names]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature"), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (known_by, False),
    ]


def host(name: str) -> x509.DNSName | x509.IPAddress:
    """A host's name (with `*.`) or address. Raises ValueError for what is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if _HOST.fullmatch(ascii_name) is None:
        raise ValueError(f"`{name}` is neither a host's name nor an address")
    return x509.DNSName(ascii_name)


def pem(certificate: x509.Certificate) -> str:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """A key as text (PKCS #8, not encrypted)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _fresh(days: int) -> tuple[ec.EllipticCurvePrivateKey, datetime, datetime]:
    now = datetime.now(timezone.utc)
    return ec.generate_private_key(ec.SECP256R1()), now - _SKEW, now + timedelta(days=days)


def _usage(*allowed: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{one: one in allowed for one in every})
