"""What the configuration may say about TLS."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import Maker

FILES = "mode: files, certificate: a.crt, key: a.key, names: [gw.example.com]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls: {mode: acme}", "tls.mode = acme: the edge's HAProxy has no ACME that can be relied upon"),
        ("tls: {names: [a_b, '-x']}", "tls.names[1] = -x: is neither a host's name nor an address"),
        ("tls: {certificate: a.crt}", "tls.certificate = a.crt: is not used with `mode: internal`"),
        ("tls: {mode: off, key: a.key}", "tls.key: is not used with `mode: off`"),
        ("tls: {mode: files, names: [a], certificate: a.crt}", "tls.key: `mode: files` needs it"),
        ("tls: {mode: files, certificate: a.crt, key: a.key}", "tls.names: `mode: files` needs the names"),
        (f"tls: {{{FILES}, authority: ca.crt}}", "tls.authority = ca.crt: no file `ca.crt`"),
        ("secrets: {edge_tls: {}}", "secrets.edge_tls: the name `edge_tls` belongs to the edge's certificate"),
        ("secrets: {tls_authority: {kind: token}}", "secrets.tls_authority.kind = token: the name"),
        (
            "services: {beta: {ports: [{number: 1, protocol: http, tls: true}]}}",
            "services.beta.ports[0].tls = true: is about a port that is not published",
        ),
        ("services: {edge-tls: {group: one, image: a}}", "services.edge-tls: the name `edge-tls` belongs to the edge"),
    ],
)
def test_mistakes(maker: Maker, text: str, said: str) -> None:
    for name in ("a.crt", "a.key"):
        maker.write(name, "x")
    maker.environment(text)
    (problem,) = maker.problems()
    assert said in str(problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls: {mode: off}", "production without TLS at the edge"),
        ("services: {alpha: {ports: [{number: 8, protocol: http, published: true, tls: false}]}}", "on port 8"),
    ],
)
def test_production_has_tls_unless_somebody_says_so(maker: Maker, text: str, said: str) -> None:
    maker.environment(text)
    maker.load()  # elsewhere it may
    maker.write("inventory/production.ini", "[one]\nhost1 ansible_connection=local\n")
    maker.write("environments/production.yml", text)
    (problem,) = maker.problems(environment="production")
    assert said in str(problem)
    assert "allow_plaintext" in problem.hint
    maker.load("tls.allow_plaintext=true", environment="production")


def test_an_unquoted_off_is_meant_as_it_is_written(maker: Maker) -> None:
    maker.environment("tls: {mode: off}")
    settings = maker.load().settings
    assert (settings.tls.mode, settings.has_tls, "tls_authority" in settings.secrets) == ("off", False, False)
    maker.environment("")
    settings = maker.load().settings
    assert (settings.tls.mode, settings.has_tls, settings.secrets["tls_authority"].kind) == (
        "internal", True, "authority",
    )  # fmt: skip
