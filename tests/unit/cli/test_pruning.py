"""What prune asks before it removes anything."""

from __future__ import annotations

from typing import Any

import pytest

from llmdeploy.cli.pruning import question

ROW = {"host": "a", "images": [{"id": "x", "names": [], "size": 5_000_000}], "bytes": 5_000_000, "problem": ""}
EMPTY = {"host": "b", "images": [], "bytes": 0, "problem": "no answer"}


@pytest.mark.parametrize(
    ("hosts", "configs", "secrets", "asked"),
    [
        ([ROW, EMPTY], [], [], "Remove 1 image (at most 5.0 MB)?"),
        ([ROW, ROW], ["llm.edge.a"], [], "Remove 2 images (at most 10.0 MB) and 1 configuration of the edge?"),
        ([EMPTY], ["llm.edge.a", "llm.edge.b"], [], "Remove 2 configurations of the edge?"),
        (
            [ROW],
            ["llm.edge.a"],
            ["llm.key.1", "llm.key.2"],
            "Remove 1 image (at most 5.0 MB), 1 configuration of the edge and 2 secrets?",
        ),
    ],
)
def test_the_question_counts_what_goes(
    hosts: list[dict[str, Any]], configs: list[str], secrets: list[str], asked: str
) -> None:
    assert question({"hosts": hosts, "configs": configs, "secrets": secrets}) == asked
