"""Certificates of the environment's own authority. Pure: the same at every call, on every machine.

So nobody has to keep them: whoever has the authority, an operator or a CI job, makes the very same certificate and key,
and a deploy that changes nothing sends nothing. Each is valid for 90 days and replaced by the first deploy after 30.

That the key is derived from the authority's gives nothing away: HKDF (RFC 5869) does not lead back, who has the
authority could issue any certificate anyway, and recorded traffic stays closed, for the edge only agrees on ephemeral
keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from llmdeploy.errors import SecretsError
from llmdeploy.secrets import keys
from llmdeploy.tls.certificate import Certificate

PERIOD = timedelta(days=30)
VALID = timedelta(days=90)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the group P-256 (FIPS 186-4, D.1.2.3)


def issue(authority: str, names: Sequence[str], now: datetime) -> Certificate:
    """The edge's certificate for `names` at the time `now`.

    `authority` is a certificate and its key (P-256), PEM. Raises SecretsError when it is not, or has expired.
    """
    issuer, key = _opened(authority)
    if now >= issuer.not_valid_after_utc:
        raise SecretsError(
            f"the authority of the edge's certificates expired on {issuer.not_valid_after_utc:%Y-%m-%d}",
            hint="llmdeploy ENV secrets rotate tls_authority makes a new one, which clients must be told to trust",
        )
    turn = max(0, (now - issuer.not_valid_before_utc) // PERIOD)
    begins = issuer.not_valid_before_utc + turn * PERIOD
    ends = min(begins + VALID, issuer.not_valid_after_utc)
    secret = _derived(key, json.dumps([*names, turn]))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = keys.builder(subject, issuer.subject, secret.public_key(), begins, ends)
    builder = builder.serial_number(int.from_bytes(_bytes(key, f"serial {names} {turn}", 16)) >> 1)
    for extension, critical in keys.host_extensions(names, secret.public_key(), issuer):
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)  # RFC 6979
    return Certificate(
        pem=keys.pem(made) + keys.private(secret), authority=keys.pem(issuer), names=tuple(names), until=ends
    )


def certificate_of(authority: str) -> str:
    """The authority's certificate without its key, for clients. Raises SecretsError as `issue` does."""
    return keys.pem(_opened(authority)[0])


def _opened(authority: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        issuer, key = keys.opened(authority)
    except ValueError:
        issuer, key = None, None
    if issuer is None or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SecretsError(
            "the secret tls_authority is no certificate with its key (P-256), as PEM",
            hint="llmdeploy ENV secrets rotate tls_authority makes one",
        )
    return issuer, key


def _derived(key: ec.EllipticCurvePrivateKey, purpose: str) -> ec.EllipticCurvePrivateKey:
    # 48 bytes for a number of 32: no key is more probable than another (FIPS 186-4, B.4.1).
    number = int.from_bytes(_bytes(key, f"key {purpose}", 48)) % (_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _bytes(key: ec.EllipticCurvePrivateKey, purpose: str, length: int) -> bytes:
    scalar = key.private_numbers().private_value.to_bytes(32)
    info = f"llmdeploy edge {purpose}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(scalar)
