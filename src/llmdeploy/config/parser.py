"""Ansible's own inventory parsers, in process. The only module of the room that imports ansible: import it late.

The ini and yaml plugins are used directly. `InventoryManager` would try every plugin, scripts included, turn
errors into warnings on the terminal, and take a third longer to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.inventory.data import InventoryData
from ansible.inventory.helpers import sort_groups
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory.ini import InventoryModule as IniParser
from ansible.plugins.inventory.yaml import InventoryModule as YamlParser
from ansible.utils.display import Display

from llmdeploy.config.hosts import Parsed, ParsedHost
from llmdeploy.config.hostvars import kept, resolve
from llmdeploy.config.textfile import refuse
from llmdeploy.errors import Problem

# Messages may quote the line at fault.
_PASSWORD = re.compile(r"(?i)(\w*(?:pass|secret|token)\w*\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)")


def parse(path: Path, file: str, catalogue: Path) -> Parsed:
    """The inventory at the absolute `path`, called `file` in messages, with group_vars and host_vars beside it.

    `catalogue` is read for host variables only when it has any. Raises ConfigError when Ansible cannot parse it.
    """
    with _quiet():
        loader = DataLoader()
        data = _read(path, file, loader)
        variables = _Variables(loader, path.parent, catalogue)
        hosts: list[ParsedHost] = []
        problems: list[Problem] = []
        for host in data.hosts.values():
            raw = variables.of(host, file)
            values, found = resolve(str(host.name), raw, loader, file, _magic(host, data, path))
            problems += found
            hosts.append(ParsedHost(str(host.name), _groups(host), values))
    names = {name: tuple(map(str, members)) for name, members in data.get_groups_dict().items()}
    return Parsed(tuple(hosts), {str(name): members for name, members in names.items()}, tuple(problems))


def _read(path: Path, file: str, loader: Any) -> Any:
    data = InventoryData()
    data.current_source = str(path)
    plugin = IniParser() if path.suffix == ".ini" else YamlParser()
    plugin.set_options = lambda **_: None  # options belong to the plugin loader, which is not used
    lines: list[int] = []
    if path.suffix == ".ini":
        _note_line(plugin, lines)
    try:
        plugin.parse(data, loader, str(path))
        data.reconcile_inventory()
    except Exception as error:  # noqa: BLE001 - Ansible's parsers let all kinds out on odd files
        line = lines[0] if lines else _line(error)
        raise refuse(file, line, _reason(error)) from None
    return data


def _note_line(plugin: Any, lines: list[int]) -> None:
    """Make `plugin` put the line it fails at into `lines`; it forgets it before it raises."""
    original = plugin._parse

    def parse(text: list[str]) -> None:
        try:
            original(text)
        except Exception:
            lines.append(plugin._origin.line_num or 0)
            raise

    plugin._parse = parse


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _line(error: BaseException) -> int:
    """The line in the chain of `error`; the innermost one is the most exact."""
    line = 0
    for link in _chain(error):
        origin = getattr(link, "obj", None)
        line = getattr(origin, "line_num", None) or _tagged_line(origin) or line
    return line


def _tagged_line(value: Any) -> int:
    tags = getattr(value, "_ansible_tags_mapping", {})
    return next((tag.line_num for tag in tags.values() if getattr(tag, "line_num", None)), 0)


def _reason(error: BaseException) -> str:
    """The innermost explanation, on one line."""
    texts = [str(getattr(link, "_original_message", "") or link) for link in _chain(error)]
    text = next((text for text in reversed(texts) if text.strip()), "cannot be parsed")
    if "unpack" in text:  # Ansible's own range parser, on `web[1:`
        return "a range of hosts is not complete; write it as web[01:03]"
    return _PASSWORD.sub(r"\1…", " ".join(text.split())[:300])


def _groups(host: Any) -> tuple[str, ...]:
    return tuple(str(group.name) for group in sort_groups(host.get_groups()) if group.name not in ("all", "ungrouped"))


def _magic(host: Any, data: Any, path: Path) -> dict[str, Any]:
    return {
        **host.get_magic_vars(),
        "groups": data.get_groups_dict(),
        "inventory_dir": str(path.parent),
        "inventory_file": str(path),
    }


class _Variables:
    """Variables of hosts, in Ansible's order of precedence."""

    def __init__(self, loader: Any, folder: Path, catalogue: Path) -> None:
        self._loader = loader
        self._folder = folder
        self._catalogue = catalogue
        self._cache: dict[Path, dict[str, Any]] = {}

    def of(self, host: Any, file: str) -> dict[str, Any]:
        """inventory: all, groups; files: all, groups; then the host's own, in the inventory and in its file."""
        groups = sort_groups(host.get_groups())
        variables: dict[str, Any] = {}
        for group in groups:
            variables |= group.vars
        for group in groups:
            variables |= self._files("group_vars", str(group.name), file)
        variables |= host.vars
        return variables | self._files("host_vars", str(host.name), file)

    def _files(self, kind: str, name: str, file: str) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        if "/" in name or not (self._folder / kind).is_dir():
            return variables
        for found in self._loader.find_vars_files(str(self._folder / kind), name):
            path = Path(found)
            if path not in self._cache:
                self._cache[path] = self._load(path, file)
            variables |= self._cache[path]
        return variables

    def _load(self, path: Path, file: str) -> dict[str, Any]:
        shown = str(Path(file).parent / path.relative_to(self._folder))
        is_catalogue = path == self._catalogue
        if is_catalogue and not re.search(rb"(?m)^[\"']?(ansible|llmdeploy)_", path.read_bytes()):
            return {}
        try:
            data = self._loader.load_from_file(str(path), cache="none", trusted_as_template=True)
        except Exception as error:  # noqa: BLE001 - as in _read
            if is_catalogue:  # we read it ourselves too, and say better what is wrong
                return {}
            hint = "keep vaulted values out of the inventory's variables" if "vault" in str(error).lower() else ""
            raise refuse(shown, _line(error), _reason(error), hint) from None
        if data is not None and not isinstance(data, dict) and not is_catalogue:
            raise refuse(shown, 1, "must be a mapping of variables")
        found: dict[str, Any] = data if isinstance(data, dict) else {}
        return kept(found) if is_catalogue else found


@contextmanager
def _quiet() -> Iterator[None]:
    """Ansible's display silenced; hyphens in group names are fine, whatever an ansible.cfg says."""
    display = Display()
    before = constants.TRANSFORM_INVALID_GROUP_CHARS
    constants.TRANSFORM_INVALID_GROUP_CHARS = "ignore"
    silenced = ("warning", "error", "deprecated", "display")
    vars(display).update(dict.fromkeys(silenced, lambda *_, **__: None))
    try:
        yield
    finally:
        for name in silenced:
            vars(display).pop(name, None)
        constants.TRANSFORM_INVALID_GROUP_CHARS = before
