"""Reads hosts and the cluster over SSH: state, logs, checks. Never changes anything but a running release's wishes."""
