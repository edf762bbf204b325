"""Certificates: issued by an authority, and those that people give, checked as their clients would."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdeploy.errors import SecretsError
from llmdeploy.secrets import keys
from llmdeploy.tls.certificate import Certificate
from llmdeploy.tls.given import Files, WrongError, checked, read
from llmdeploy.tls.issue import PERIOD, VALID, certificate_of, issue

AUTHORITY, ANOTHER = keys.authority(), keys.authority()
BORN = keys.opened(AUTHORITY)[0].not_valid_before_utc
NAMES = ["gateway.example.com", "10.0.0.4", "*.apps.example.com", "localhost"]
NOW = BORN + timedelta(days=1)


def key_of(made: Certificate) -> str:
    found = keys.KEY.search(made.pem)
    assert found
    return found[0]


def test_the_same_at_every_call_until_its_time_has_come() -> None:
    """Or every operator and every CI job would replace the certificate of the others."""
    first = issue(AUTHORITY, NAMES, NOW)
    assert issue(AUTHORITY, NAMES, BORN + PERIOD - timedelta(seconds=1)) == first
    later = issue(AUTHORITY, NAMES, BORN + PERIOD)
    assert key_of(later) != key_of(first)
    assert (first.until, later.until) == (BORN + VALID, BORN + PERIOD + VALID)
    assert first.names == tuple(NAMES)
    assert key_of(issue(AUTHORITY, NAMES[:2], NOW)) != key_of(first)
    assert key_of(issue(ANOTHER, NAMES, NOW)) != key_of(first)
    assert "PRIVATE" not in certificate_of(AUTHORITY) == first.authority
    assert "PRIVATE" not in repr(first)


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0, max_value=3650 * 86400 - 600))
def test_clients_accept_it_at_any_time_in_the_life_of_its_authority(seconds: int) -> None:
    now = BORN + timedelta(seconds=seconds)
    made = issue(AUTHORITY, NAMES, now)
    assert made.until - now > timedelta(days=59) or made.until == keys.opened(AUTHORITY)[0].not_valid_after_utc
    assert checked(Files(made.pem, key_of(made), made.authority), NAMES, now).until == made.until


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nx\n", keys.key_pair()[0], certificate_of(AUTHORITY)]
)
def test_what_is_no_authority_is_refused(text: str) -> None:
    with pytest.raises(SecretsError, match="tls_authority"):
        issue(text, NAMES, NOW)


def test_an_authority_that_has_expired_is_told() -> None:
    with pytest.raises(SecretsError, match="expired on"):
        issue(AUTHORITY, NAMES, BORN + timedelta(days=3651))


MADE = issue(AUTHORITY, NAMES, NOW)
CHAIN = "".join(keys.pem(one) for one in x509.load_pem_x509_certificates(MADE.pem.encode()))
OTHER = issue(ANOTHER, NAMES, NOW)


@pytest.mark.parametrize(
    ("files", "names", "now", "key", "why"),
    [
        (Files("x", key_of(MADE), MADE.authority), NAMES, NOW, "certificate", "is no certificate in PEM form"),
        (Files(CHAIN, "x", MADE.authority), NAMES, NOW, "key", "is no key in PEM form"),
        (Files(CHAIN, key_of(OTHER), MADE.authority), NAMES, NOW, "key", "is not the key of the certificate"),
        (Files(CHAIN, key_of(MADE), "x"), NAMES, NOW, "authority", "is no certificate in PEM form"),
        (Files(CHAIN, key_of(MADE), OTHER.authority), NAMES, NOW, "certificate", "no trusted authority"),
        (Files(CHAIN, key_of(MADE)), NAMES, NOW, "certificate", "no trusted authority"),
        (Files(CHAIN, key_of(MADE), MADE.authority), ["a.example.com"], NOW, "certificate", "is not for a.example.com"),
        (Files(CHAIN, key_of(MADE), MADE.authority), ["10.0.0.5"], NOW, "certificate", "is not for 10.0.0.5"),
        (Files(CHAIN, key_of(MADE), MADE.authority), ["a.b.apps.example.com"], NOW, "certificate", "is not for a.b"),
        (Files(CHAIN, key_of(MADE), MADE.authority), NAMES, BORN + VALID * 2, "certificate", "expired on"),
        (Files(CHAIN, key_of(MADE), MADE.authority), NAMES, BORN - VALID, "certificate", "is valid from"),
    ],
)
def test_what_clients_would_refuse_is_refused_before(
    files: Files, names: list[str], now: datetime, key: str, why: str
) -> None:
    with pytest.raises(WrongError, match=why) as caught:
        checked(files, names, now)
    assert caught.value.key == key


def test_a_key_that_others_may_read_is_refused_and_an_encrypted_one_is_opened(tmp_path: Path) -> None:
    named: dict[str, str | None] = {"certificate": "a.crt", "key": "a.key", "authority": None}
    (tmp_path / "a.crt").write_text(CHAIN)
    with pytest.raises(WrongError, match=r"`a\.key` cannot be read"):
        read(tmp_path, named, lambda *_: "")
    (tmp_path / "a.key").write_text(key_of(MADE))
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(WrongError, match=r"others may read `a\.key`") as caught:
        read(tmp_path, named, lambda *_: "")
    assert caught.value.hint == "chmod 600 a.key"
    (tmp_path / "a.key").chmod(0o600)
    assert read(tmp_path, named, lambda *_: "") == Files(CHAIN, key_of(MADE))
    (tmp_path / "a.key").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")
    (tmp_path / "a.key").chmod(0o644)  # it is encrypted: everybody may read it
    assert read(tmp_path, named, lambda data, name: f"{name} {data[:6]!r}").key == "a.key b'$ANSIB'"


def test_it_is_known_by_its_content_and_its_key_is_not_shown() -> None:
    one, two = MADE.at_edge("llm.edge_tls.1"), OTHER.at_edge("llm.edge_tls.2")
    assert one.digest != two.digest
    assert one.file == f"/edge-tls/{one.digest}.pem"
    assert (one.name, one.names, one.until) == (NAMES[0], tuple(NAMES), int(MADE.until.timestamp()))
    assert "PRIVATE" not in repr(one)
    assert datetime.fromtimestamp(one.until, timezone.utc) == MADE.until
