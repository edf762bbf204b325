"""The lab's own tests use the fixtures that it gives to others."""

from tests.lab.fixtures import lab4, lab_factory

__all__ = ["lab4", "lab_factory"]
