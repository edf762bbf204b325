"""The lab: Linux hosts as containers, each with its own sshd and dockerd, for end-to-end tests."""

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.shell import LabError

__all__ = ["Host", "Lab", "LabError"]
