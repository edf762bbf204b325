"""For all tests."""

import os
import signal

import pytest

# A shell that runs the tests in the background ignores Ctrl-C for them, and what they start would inherit that:
# every test of an interruption would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what costs much and is shown in another form, unless everything is wanted."""
    if os.environ.get("LLMDEPLOY_THOROUGH"):
        return
    for item in items:
        if mark := item.get_closest_marker("thorough"):
            item.add_marker(
                pytest.mark.skip(reason=f"runs with LLMDEPLOY_THOROUGH=1; otherwise shown by {mark.args[0]}")
            )
