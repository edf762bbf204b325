"""For all tests."""

import signal

# A shell that runs the tests in the background ignores Ctrl-C for them, and what they start would inherit that:
# every test of an interruption would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
