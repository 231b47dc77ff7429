# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The border of the subset: what ROS 2 has and we do not is refused by name.

`upstream_api.txt` lists the API of ROS 2. Whatever is listed and not defined by our modules raises
`NotImplementedError`; what ROS 2 does not have either stays an `AttributeError` as ever.
"""

from __future__ import annotations

import functools
import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn


class Upstream(NamedTuple):
    """The API of ROS 2: names by module, members by class by module, and who has submodules."""

    modules: dict[str, list[str]]
    classes: dict[str, dict[str, list[str]]]
    packages: set[str]


class UnsupportedModuleError(ModuleNotFoundError, NotImplementedError):
    """A module of ROS 2 that is not in the subset; programs with another way may take it."""


class Refusal:
    """Takes the place of a class member that is not in the subset."""

    def __init__(self, api: str, attribute: bool) -> None:
        self._api, self._attribute = api, attribute

    def __get__(self, instance: object, owner: type) -> Refusal:
        if self._attribute and instance is not None:
            self()
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse the call."""
        raise unsupported(self._api)


class _View(Loader):
    """Loads a submodule that only upstream has, out of its package, which has the names here."""

    def exec_module(self, module: ModuleType) -> None:
        """Take over those names that the package has."""
        package = vars(sys.modules[module.__name__.rpartition(".")[0]])
        names = upstream().modules[module.__name__]
        vars(module).update({name: package[name] for name in names if name in package})
        enclose(module)


def unsupported(api: str) -> NotImplementedError:
    """Return the error for API beyond the subset, such as `rclpy.node.Node.create_x(option=)`."""
    return NotImplementedError(
        f"{api} is not part of pocket_ros2; docs/api.md lists what is, "
        "and a real ROS 2 installation has it all"
    )


@functools.cache
def upstream() -> Upstream:
    """Read the list of the upstream API."""
    modules: dict[str, list[str]] = {}
    classes: dict[str, dict[str, list[str]]] = {}
    text = Path(__file__).with_name("upstream_api.txt").read_text(encoding="utf-8")
    for entry in text.replace("\n  ", " ").splitlines():
        owner, colon, names = entry.partition(":")
        if not colon or owner.startswith("#"):
            continue
        package, _, last = owner.rpartition(".")
        if last[0].isupper():
            classes.setdefault(package, {})[last] = names.split()
            continue
        for token in names.split():
            submodule, slash, name = token.rpartition("/")
            modules.setdefault(owner, []).append(name)
            if slash:
                modules.setdefault(f"{owner}.{submodule}", []).append(name)
    return Upstream(modules, classes, {name.rpartition(".")[0] for name in modules})


def enclose(module: ModuleType) -> None:
    """Make a loaded module, and the classes in it, refuse what only upstream has."""
    name = module.__name__
    names = upstream().modules.get(name)
    if names is None:
        return

    def refuse(missing: str) -> NoReturn:
        if missing in names:
            raise unsupported(f"{name}.{missing}")
        raise AttributeError(f"module {name!r} has no attribute {missing!r}")

    vars(module).setdefault("__getattr__", refuse)
    if name in upstream().packages:
        # Upstream's package may be a single file here; its submodules are to be looked for.
        vars(module).setdefault("__path__", [])
    for cls, members in upstream().classes.get(name, {}).items():
        owner = vars(module).get(cls)
        for member in members if owner is not None else ():
            bare = member.removeprefix(".")
            if not hasattr(owner, bare):
                setattr(owner, bare, Refusal(f"{name}.{cls}.{bare}", bare != member))


def find_spec(name: str) -> ModuleSpec | None:
    """Find a module that only upstream has: a view of its package, else refused by name."""
    names = upstream().modules.get(name)
    if names is None:
        return None
    package = sys.modules.get(name.rpartition(".")[0])
    if package is not None and any(public in vars(package) for public in names):
        return ModuleSpec(name, _View())
    raise UnsupportedModuleError(*unsupported(name).args)
