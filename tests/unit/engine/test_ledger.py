"""The data of a release in the cluster, and which releases are kept."""

from __future__ import annotations

import secrets

from llmdeploy.engine.ledger import PLAIN_UP_TO, decode, disposable, encode


def test_a_manifest_survives_its_way_through_the_cluster() -> None:
    small = {"format": 1, "job": {"id": "ü"}}
    large = {"job": secrets.token_hex(PLAIN_UP_TO)}
    assert encode(small).startswith(b"{")
    assert not encode(large).startswith(b"{")
    assert decode(encode(small)) == small
    assert decode(encode(large)) == large


def test_the_newest_are_kept_and_the_newest_good_one() -> None:
    releases = dict.fromkeys(range(1, 31), "unhealthy") | {3: "done", 5: "done"}
    assert disposable(releases, keep=20) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert disposable({1: "done"}, keep=20) == []
