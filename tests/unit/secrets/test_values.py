"""Generated values, placeholders, and names in the cluster."""

from __future__ import annotations

import contextlib
import re
import secrets as chance
import ssl
import string
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from llmdeploy.config.models import Secret
from llmdeploy.errors import SecretsError
from llmdeploy.secrets import gather, swarm_name
from llmdeploy.secrets.checks import unusable, wrong_with
from llmdeploy.secrets.generate import generate, generates
from llmdeploy.secrets.placeholders import is_placeholder

LETTERS_DIGITS = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    ("declared", "alphabet"),
    [
        ({}, LETTERS_DIGITS),
        ({"length": 12}, LETTERS_DIGITS),
        ({"length": 1024, "alphabet": "hex"}, "0123456789abcdef"),
        ({"length": 1024, "alphabet": "printable"}, LETTERS_DIGITS + string.punctuation),
        ({"kind": "token", "length": 1024}, LETTERS_DIGITS + "-_"),
    ],
)
def test_passwords_and_tokens(declared: dict[str, Any], alphabet: str) -> None:
    secret = Secret(**declared)
    made = [generate("a", secret) for _ in range(5)]
    assert all([*one] == ["a"] and len(one["a"]) == secret.length for one in made)
    assert len({one["a"] for one in made}) == 5
    used = {character for one in made for character in one["a"]}
    assert used <= {*alphabet}
    if secret.length == 1024:
        assert used == {*alphabet}
    if secret.kind == "token":
        assert all(one["a"][0] != "-" for one in made)


def test_a_generated_value_is_never_taken_for_a_placeholder(monkeypatch: pytest.MonkeyPatch) -> None:
    characters = iter("<" + "a" * 10 + ">" + "b" * 12)
    monkeypatch.setattr(chance, "choice", lambda _: next(characters))
    assert generate("a", Secret(length=12, alphabet="printable")) == {"a": "b" * 12}


def test_a_key_pair() -> None:
    made = generate("jwt", Secret(kind="key-pair"))
    assert [*made] == ["jwt", "jwt.pub"]
    assert made["jwt"].startswith("-----BEGIN PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(made["jwt"].encode(), None)
    public = serialization.load_pem_public_key(made["jwt.pub"].encode())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(key.sign(b"x"), b"x")


def test_a_certificate_is_one_that_clients_accept(tmp_path: Path) -> None:
    names = ["shop.example.com", "*.shop.example.com", "10.0.0.1", "::1", "bücher.example"]
    made = generate("tls", Secret(kind="certificate", names=names, days=30))
    assert [*made] == ["tls", "tls.crt"]
    parsed = x509.load_pem_x509_certificate(made["tls.crt"].encode())
    key = serialization.load_pem_private_key(made["tls"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert key.public_key() == parsed.public_key()
    life = parsed.not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=29, hours=23) < life <= timedelta(days=30)
    for name in ("shop.example.com", "a.shop.example.com", "10.0.0.1", "::1", "xn--bcher-kva.example"):
        assert shakes_hands(tmp_path, made, name)
    assert not shakes_hands(tmp_path, made, "other.example.com")
    assert shakes_hands(tmp_path, generate("x", Secret(kind="certificate")), "localhost")


def shakes_hands(folder: Path, made: dict[str, str], name: str) -> bool:
    """Whether a strict client that trusts the certificate talks to a server that has it."""
    key, certificate = made.values()
    (folder / "pem").write_text(key + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "pem")
    client = ssl.create_default_context(cadata=certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=name)
    answering = server.wrap_bio(there, back, server_side=True)
    try:
        for side in (asking, answering) * 4:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError:
        return False
    return asking.version() == "TLSv1.3"


@pytest.mark.parametrize("name", ["", "a b", "https://x", "10.0.0.0/8", "a..b", "*", "x:443", "-a"])
def test_what_a_certificate_cannot_be_for(name: str) -> None:
    with pytest.raises(SecretsError, match=re.escape(f"secrets.tls.names: `{name}` is neither")):
        generate("tls", Secret(kind="certificate", names=[name]))


def test_given_ones_are_never_made() -> None:
    with pytest.raises(ValueError, match="given by people"):
        generate("a", Secret(kind="given"))
    assert [generates(Secret(**one)) for one in ({}, {"kind": "given"}, {"command": ["x"]}, {"variable": "X"})] == [
        True, False, False, False,
    ]  # fmt: skip


PLACEHOLDERS = [
    "", " ", "\n", "admin", "Admin", "PASSWORD", "changeme", "change-me", "Change_Me", "change me", "secret", "default",
    "test", "example", "todo", "TODO", "xxx", "XXXXXXXX", "123456", "123456789", "letmein", "db_password",
    "DB-Password", "dbpassword", "<password>", "<your key here>", "${DB_PASSWORD}", "{{ db_password }}", "{{x}}",
    " admin\n",
]  # fmt: skip
VALUES = [
    "xx", "adminadmin1", "password-of-mine", "12345", "1234567890123", "a<b>", "<a><b>", "$PATH", "${A}${B}", "{x}",
    '{"a": {"b": 1}}', "tests", "xxxy", "hunter2",
]  # fmt: skip


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders(value: str) -> None:
    assert is_placeholder("db_password", value)
    why = wrong_with("db_password", value)
    assert why in ("the value is empty", "the value is a placeholder or a well-known default")


@pytest.mark.parametrize("value", VALUES)
def test_what_is_none(value: str) -> None:
    assert not is_placeholder("db_password", value)
    assert wrong_with("db_password", value) == ""


def test_the_own_name_of_a_part() -> None:
    assert is_placeholder("tls.crt", "tls.crt")
    assert is_placeholder("tls.crt", "TLS")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a\0b", "NUL"),
        ("\udcff", "not UTF-8"),
        pytest.param("x" * 512_000, "500 KB; Docker takes less than 500 KB", id="large"),
        pytest.param("é" * 256_000, "500 KB", id="large in UTF-8"),
        pytest.param("y" * 511_999, "", id="just right"),
    ],
)
def test_what_docker_would_not_keep(value: str, why: str) -> None:
    assert why in unusable(value)
    assert wrong_with("a", value) == unusable(value)
    assert bool(why) == bool(unusable(value))


def test_a_name_in_the_cluster() -> None:
    name = swarm_name("llm", "dev", "db_password", "value")
    assert re.fullmatch(r"llm\.db_password\.[0-9a-f]{12}", name)
    assert name == swarm_name("llm", "dev", "db_password", "value")
    others = [
        swarm_name("llm", "dev", "db_password", "other"),
        swarm_name("llm", "prod", "db_password", "value"),
        swarm_name("llm2", "dev", "db_password", "value"),
        swarm_name("llm", "dev", "db_passwor", "value"),
    ]
    assert len({one.rpartition(".")[2] for one in [name, *others]}) == 5


def test_the_longest_name_is_one_that_docker_takes() -> None:
    name = swarm_name("a" * 19 + "-" + "b" * 40, "dev", "a" * 26 + ".pub", "ü")
    assert len(name) == 64
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*[a-zA-Z0-9]", name)


def test_what_others_call_is_at_the_door() -> None:
    assert callable(gather)
