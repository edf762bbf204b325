"""Typed reading of the environment; a wrong value is one clear error, never a default."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from .errors import SettingsError


class Env:
    """The environment variables of this process."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """Read a text; an empty value counts as unset."""
        return self._values.get(name, "").strip() or default

    def secret(self, name: str, default: str = "") -> str:
        """Read NAME, or the file that NAME_FILE points to (a Swarm secret)."""
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name, default)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE={path}: {error}") from None

    def number(self, name: str, default: float, *, top: float = 1e9) -> float:
        """Read a number between 0 and TOP."""
        raw = self.text(name, str(default))
        try:
            value = float(raw)
        except ValueError:
            raise SettingsError(f"{name}={raw}: not a number") from None
        if not 0 <= value <= top:
            raise SettingsError(f"{name}={raw}: must lie between 0 and {top:g}")
        return value

    def port(self, name: str, default: int) -> int:
        """Read a TCP port."""
        value = self.number(name, default, top=65535)
        if value != int(value) or value < 1:
            raise SettingsError(f"{name}={value:g}: not a port")
        return int(value)

    def share(self, name: str) -> Fraction:
        """Read a share between 0 and 1, exactly (0.1 stays a tenth)."""
        self.number(name, 0, top=1)
        return Fraction(self.text(name, "0"))

    def flag(self, name: str) -> bool:
        """Read a switch: 1, true, yes, on; or 0, false, no, off."""
        raw = self.text(name, "0").lower()
        if raw not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise SettingsError(f"{name}={raw}: use 1 or 0")
        return raw in {"1", "true", "yes", "on"}

    def words(self, name: str, default: str) -> list[str]:
        """Read a comma-separated list."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]
