"""What the configuration may say about the monitoring, and about checks of metrics."""

from __future__ import annotations

import pytest

from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD, IMAGES, PARTS, Monitoring
from tests.unit.config.conftest import Maker

RECEIVER = "monitoring: {{alerts: {{receivers: {{me: {{{}}}}}}}}}"
CHECK = "verify: {{metrics: [{{name: errors, query: up, success: '{}'}}]}}"


@pytest.fixture
def watched(maker: Maker) -> Maker:
    """A project with a host for the monitoring."""
    maker.inventory("[one]\nhost1 ansible_connection=local\n[ui]\nhost1\n")
    return maker


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RECEIVER.format(""), "receivers.me = {…}: give it one of `webhook`"),
        (RECEIVER.format("webhook: 'http://a', webhook_secret: b"), "receivers.me = {…}: give it one of `webhook`"),
        (RECEIVER.format("webhook: mailto"), "receivers.me.webhook = mailto"),
        (
            RECEIVER.format("slack: {channel: '#x', secret: slack_url}"),
            "receivers.me.slack.secret: nobody declares a secret `slack_url`",
        ),
        (
            RECEIVER.format("email: {to: [a@b], sender: c@d, smarthost: 'm:25', secret: nope}"),
            "receivers.me.email.secret: nobody declares a secret `nope`",
        ),
        ("monitoring: {retention: {logs: 2h}}", "monitoring.retention.logs = 2h: Loki keeps logs for a day at least"),
        (
            "monitoring: {retention: {metrics: 4000d}}",
            "monitoring.retention.metrics = 4000d: not a period between a day",
        ),
        ("monitoring: {retention: {metrics: soon}}", "monitoring.retention.metrics = soon: not a duration"),
        ("monitoring: {parts: {grafanna: {}}}", "monitoring.parts.grafanna"),
        ("monitoring: {enabled: true, group: nowhere}", "monitoring.group = nowhere: no group `nowhere`"),
        (
            "monitoring: {enabled: true}\nservices: {loki: {group: one}}",
            "services.loki = {…}: `loki` is a part of the monitoring",
        ),
        (
            "monitoring: {enabled: true}\nservices: {beta: {ports: [{number: 9090, protocol: http, published: true}]}}",
            "port 9090 of the monitoring's prometheus is published by `beta` already",
        ),
        (
            "monitoring: {enabled: true, parts: {loki: {published: 3002}}}",
            "monitoring.parts.loki.published = 3002: port 3002 of the monitoring's loki is published by `grafana`",
        ),
        (
            "monitoring: {enabled: true, parts: {loki: {build: nowhere}}}",
            "monitoring.parts.loki.build = nowhere: no file `nowhere/Dockerfile`",
        ),
        ("services: {beta: {metrics: {path: x}}}", "services.beta.metrics.path = x: must start with /"),
        ("services: {beta: {metrics: 70000}}", "services.beta.metrics = 70000: must be at most 65535"),
        (CHECK.format("fine"), "verify.metrics[0].success = fine: not a condition"),
        (CHECK.format("<= before * "), "not a condition"),
        (CHECK.format("<= 1 or"), "not a condition"),
    ],
)
def test_mistakes(watched: Maker, text: str, said: str) -> None:
    watched.environment(text)
    assert said in "\n".join(watched.lines())


def test_what_it_keeps_lies_on_one_host(watched: Maker) -> None:
    watched.inventory("[one]\na ansible_host=192.0.2.1\nb ansible_host=192.0.2.2\n[ui]\na\nb\n")
    watched.environment("monitoring: {enabled: true}")
    assert (
        "monitoring.group: the group `ui` has 2 hosts; what the monitoring keeps lies on one host" in watched.lines()[0]
    )
    watched.inventory("[one]\na ansible_host=192.0.2.1\nb ansible_host=192.0.2.2\n[ui]\na\nb\n[monitoring]\nb\n")
    assert watched.load().settings.monitoring.home(watched.load().inventory.groups) == "monitoring"


def test_images_of_parts_are_allowed_or_refused_as_others(watched: Maker) -> None:
    watched.environment("monitoring: {enabled: true}\nimages: {allow: [docker.io/library]}")
    refused = watched.lines()
    assert len(refused) == len(PARTS)
    assert any(
        "monitoring.parts.grafana.image: docker.io/grafana/grafana is not in images.allow" in one for one in refused
    )
    own = "".join(f"    {part}: {{image: 'docker.io/library/{part}:1'}}\n" for part in PARTS)
    watched.environment(f"monitoring:\n  enabled: true\n  parts:\n{own}images: {{allow: [docker.io/library]}}")
    assert watched.load()


@pytest.mark.parametrize("text", ["<= 0.05", ">=0.99", "<= 0.05 or <= before * 1.5", "<= before + 1 and > -1e-3"])
def test_conditions(watched: Maker, text: str) -> None:
    watched.environment(CHECK.format(text))
    checks = watched.load().settings.verify.metrics
    assert checks is not None
    assert checks[0].success.replace(" ", "") == text.replace(" ", "")


def test_its_secrets_belong_to_it(watched: Maker) -> None:
    assert GRAFANA_PASSWORD not in watched.load().settings.secrets
    watched.environment("monitoring: {enabled: true}")
    assert {GRAFANA_PASSWORD, GRAFANA_KEY} <= set(watched.load().settings.secrets)


def test_every_part_has_an_image_of_a_fixed_version() -> None:
    assert set(IMAGES) == set(PARTS)
    assert all(image.rpartition(":")[2][-1].isdigit() for image in IMAGES.values())


def test_a_part_that_is_built_has_no_image() -> None:
    made = Monitoring.model_validate({"parts": {"loki": {"build": "x"}, "alloy": {"image": "a", "build": "x"}}})
    assert made.image("loki") is None
    assert made.image("alloy") == "a"
    assert made.image("grafana") == IMAGES["grafana"]
    assert made.published("grafana") == 3002
    assert made.published("cadvisor") is None
