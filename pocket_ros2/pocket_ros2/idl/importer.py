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
from pocket_ros2.idl.model import InterfaceError


class _InterfaceModule(ModuleType):
    """A module that makes its classes on demand; `__all__` names the interfaces."""

    __all__: list[str]

    def __getattr__(self, name: str) -> Any:
        package, kind, *_ = (*self.__name__.split("."), "")
        try:
            if name.partition("_")[0] not in self.__all__:
                raise InterfaceError(name)
            made = load(f"{package}/{kind}/{name}")
        except InterfaceError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        setattr(self, name, made)
        return made

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__all__})


class _Loader(Loader):
    """Creates interface modules; there is no code to run in them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module, which is complete."""
        module = _InterfaceModule(spec.name)
        module.__all__ = self.names
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing."""


def find_spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module with interfaces, None if name is none."""
    package, _, rest = name.partition(".")
    kind, _, private = rest.partition(".")
    folder = catalogue.package_folder(package)
    if folder is None or kind not in ("", *catalogue.KINDS):
        return None
    found = catalogue.files(folder, kind) if kind else {}
    names = [short for short in found if private in ("", f"_{snake(short)}")]
    if kind and not names:
        return None
    return ModuleSpec(name, _Loader(names), is_package=not private)
