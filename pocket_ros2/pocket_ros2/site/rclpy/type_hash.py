# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Hashes that identify the definition of a type."""

from __future__ import annotations


class TypeHash:
    def __init__(self, version: int = -1, value: bytes = bytes(32)) -> None:
        self.version = version
        self.value = value

    @classmethod
    def _from_text(cls, text: str) -> TypeHash:
        version, _, digits = text.removeprefix("RIHS").partition("_")
        return cls(int(version), bytes.fromhex(digits))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeHash) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        if self.version <= 0:
            return "INVALID"
        return f"RIHS{self.version:02}_{self.value.hex()}"

    __repr__ = __str__
