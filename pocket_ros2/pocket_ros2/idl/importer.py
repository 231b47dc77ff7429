# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves `pkg`, `pkg.msg`, `pkg.srv`, `pkg.action` and `pkg.msg._name` to `import`.

The classes in a module are made when they are first asked for.
"""

from __future__ import annotations

from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pocket_ros2.idl import catalogue
from pocket_ros2.idl.classes import load, snake

_PARTS = {
    "msg": ("",),
    "srv": ("", "_Request", "_Response"),
    "action": (
        *("", "_Goal", "_Result", "_Feedback", "_SendGoal", "_GetResult", "_FeedbackMessage"),
        *(f"_{s}_{p}" for s in ("SendGoal", "GetResult") for p in ("Request", "Response")),
    ),
}


class _InterfaceModule(ModuleType):
    """A module that makes its classes on demand; `names` maps them to interface names."""

    names: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        interface = self.__dict__["names"].get(name)
        if interface is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        made = load(interface)
        setattr(self, name, made)
        return made

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.names})


class _Loader(Loader):
    """Creates interface modules; there is no code to run in them."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the empty module."""
        module = _InterfaceModule(spec.name)
        module.names = self.names
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Declare what a star import takes."""
        module.__all__ = list(self.names)  # type: ignore[attr-defined]


def find_spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module with interfaces, None if name is none."""
    package, _, rest = name.partition(".")
    kind, _, private = rest.partition(".")
    folder = catalogue.package_folder(package)
    if folder is None or kind not in ("", *catalogue.KINDS):
        return None
    if not kind:
        return ModuleSpec(name, _Loader({}), is_package=True)
    found = catalogue.files(folder, kind)
    if not found:
        return None
    if private:
        found = {short: file for short, file in found.items() if f"_{snake(short)}" == private}
        if not found:
            return None
    names = {
        f"{short}{part}": f"{package}/{kind}/{short}{part}"
        for short in found
        for part in _PARTS[kind]
    }
    return ModuleSpec(name, _Loader(names), is_package=not private)
