"""Loading an environment: files in, one typed value out, or every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from llmdeploy.config.checks import check
from llmdeploy.config.draft import Draft
from llmdeploy.config.hosts import Inventory
from llmdeploy.config.inventory import read_inventory
from llmdeploy.config.layers import lay, prune
from llmdeploy.config.marks import KeyPath, dotted
from llmdeploy.config.models import Settings
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.normal import normal, split_host_variables
from llmdeploy.config.origins import Origins
from llmdeploy.config.overrides import read_override
from llmdeploy.config.shape import shape
from llmdeploy.config.strangers import check_removed, set_aside
from llmdeploy.config.textfile import read_text
from llmdeploy.config.tree import Node
from llmdeploy.config.yamltree import read_tree
from llmdeploy.errors import ConfigError, Problem, UsageError
from llmdeploy.project import ENVIRONMENT_NAME, Project


@dataclass(frozen=True)
class Environment:
    """Everything about one environment. `confirm`: ask before every change."""

    name: str
    project: Project
    settings: Settings
    inventory: Inventory
    origins: Origins
    confirm: bool


def load(project: Project, environment: str, overrides: Sequence[str] = ()) -> Environment:
    """The environment `environment` of `project`, with `overrides` of the form KEY.KEY=VALUE on top.

    Layers from low to high: the models' defaults; `defaults:` of the catalogue, then of the environment file,
    then of `--set` (for services only); what the catalogue says; what the environment file says; `--set`.
    A value a service has in the catalogue therefore beats `defaults:` of the environment. See `config.layers`.

    Raises UsageError for an unknown environment or a malformed override, ConfigError with all problems else.
    """
    check_name(project, environment)
    loading = _Loading(project, environment)
    layers = loading.layers(overrides)
    inventory = loading.inventory()
    settings, origins = loading.settings(layers, inventory) if layers else (None, None)
    if loading.problems or not (settings and origins and inventory):
        raise ConfigError(_in_order(loading.problems))
    confirm = settings.confirm or environment == "production"
    return Environment(environment, project, settings, inventory, origins, confirm)


def check_name(project: Project, environment: str) -> None:
    """Raises UsageError, with the nearest names, when `project` has no such environment."""
    known = project.environments()
    if ENVIRONMENT_NAME.fullmatch(environment) is None:
        why = "is not an environment's name: lower-case letters, digits and hyphens"
        raise UsageError(f"`{environment}` {why}", hint=did_you_mean(environment, known))
    if environment not in known:
        hint = did_you_mean(environment, known) or "this project has none; add inventory/NAME.ini"
        raise UsageError(f"no environment `{environment}`", hint=hint)


def readable(project: Project, environment: str, overrides: Sequence[str] = ()) -> list[Node]:
    """The layers that can be read, lowest first, whatever else is wrong with them."""
    return _Loading(project, environment).readable(overrides)


def effective(environment: Environment) -> list[tuple[str, Any, str]]:
    """Key, value and origin (`file:line`, `--set` or `default`) of every setting, defaults included."""
    return [
        (dotted(path), value, str(environment.origins.of(path)))
        for path, value in _leaves(environment.settings, ())
        if path[0] != "defaults"  # they are in every service already
    ]


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, BaseModel):
        value = {key: getattr(value, key) for key in type(value).model_fields}
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path, value


class _Loading:
    """One run of `load`; gathers problems on the way."""

    def __init__(self, project: Project, environment: str) -> None:
        self.project = project
        self.environment = environment
        self.problems: list[Problem] = []
        self._broken = False

    def layers(self, overrides: Sequence[str]) -> list[Node] | None:
        """Catalogue, environment file and overrides; None when one of them cannot be read at all."""
        found = self.readable(overrides)
        return None if self._broken else found

    def readable(self, overrides: Sequence[str]) -> list[Node]:
        """The same, with an empty layer for what cannot be read."""
        name = self.environment
        catalogue = self._document("inventory/group_vars/all.yml", "the catalogue; `llmdeploy init` makes one")
        overriding = self._document(f"environments/{name}.yml", "it holds what differs here; it may be empty")
        layers = [split_host_variables(catalogue), overriding]
        layers += [self._checked(partial(read_override, text)) for text in overrides]
        return [normal(layer) for layer in layers]

    def _document(self, file: str, missing: str) -> Node:
        return self._checked(lambda: read_tree(read_text(self.project.root / file, file, missing=missing), file))

    def _checked(self, read: Callable[[], tuple[Node, list[Problem]]]) -> Node:
        """What `read` gives, its problems noted; an empty mapping when it fails."""
        try:
            value, problems = read()
        except ConfigError as error:
            self.problems += error.problems
            self._broken = True
            return Node({})
        self.problems += problems
        return value

    def inventory(self) -> Inventory | None:
        """The inventory, None when it cannot be read."""
        try:
            inventory, problems = read_inventory(self.project, self.environment)
        except ConfigError as error:
            self.problems += error.problems
            return None
        self.problems += problems
        return inventory

    def settings(self, layers: list[Node], inventory: Inventory | None) -> tuple[Settings | None, Origins]:
        """The typed settings with their origins, after all checks."""
        tree, removed = prune(lay(layers))
        names, known = _names(tree), _names(layers[0])
        tree, strange = set_aside(tree, removed, known)
        origins = Origins(tree)
        shaped = shape(tree, origins)
        self.problems += shaped.problems + strange + check_removed(removed)
        if shaped.settings:
            text = self.project.inventory_file(self.environment)
            draft = Draft(
                settings=shaped.settings,
                shaped=shaped,
                origins=origins,
                names=names,
                inventory=inventory,
                inventory_text=text.read_text("utf-8", "replace") if inventory else "",
                root=self.project.root,
                environment=self.environment,
            )
            self.problems += check(draft)
        return shaped.settings, origins


def _names(tree: Node) -> frozenset[str]:
    services = tree.child("services")
    return frozenset(services.children) if services else frozenset()


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Each problem once, by file and line, with nothing in it that a terminal would act on."""
    shown = {Problem(**{key: _printable(value) for key, value in vars(item).items()}) for item in problems}
    return sorted(shown, key=lambda item: (item.file, item.line, item.path, item.why))


def _printable(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
