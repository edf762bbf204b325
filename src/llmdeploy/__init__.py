"""llmdeploy: from bare Linux servers to a healthy, ordered LLM service stack with one command."""

__version__ = "0.1.0"
