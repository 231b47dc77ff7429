# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A source and makers so small that a test of the factory takes milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from roborefer_vlm.data.examples import Example, KeyStep, Kind, Rejected, Wish
from roborefer_vlm.data.views import Fact, Shot, View
from roborefer_vlm.exceptions import SourceError
from roborefer_vlm.scenes.graph import Camera, OrientedBox, Scene, SceneObject
from roborefer_vlm.types import Intrinsics, PerceptionType

WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True)
class Squares:
    """Coloured squares on a grey ground; shot 3 cannot be made."""

    count: int = 8
    views: int = 1
    fails: frozenset[int] = frozenset({3})
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return "squares"

    def __len__(self) -> int:
        return self.count

    def shot(self, index: int) -> Shot:
        if index in self.fails:
            raise SourceError(f"scan {index} has no depth")
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        return Shot(tuple(self._view(index, number) for number in range(self.views)))

    def _view(self, index: int, number: int) -> View:
        rng = np.random.default_rng([index, number])
        rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        depth = np.full((HEIGHT, WIDTH), 1.0, np.float32)
        things = []
        for place, color in enumerate(((200, 0, 0), (0, 160, 0), (0, 0, 220)), start=1):
            left, top = int(rng.integers(2, 14)) + 20 * (place - 1), int(rng.integers(2, 38))
            mask = np.zeros((HEIGHT, WIDTH), bool)
            mask[top : top + 8, left : left + 8] = True
            rgb[mask] = color
            depth[mask] = 0.9
            box = OrientedBox(np.array([1.0, -0.1 * place, 0.05]), np.eye(3), np.full(3, 0.1))
            things.append(SceneObject(place, "square", box, mask=mask))
        camera = Camera(Intrinsics(WIDTH, HEIGHT, 60.0, 60.0, 31.5, 23.5), np.eye(4))
        return View(
            key=f"squares-{index:06d}-{number}",
            rgb=rgb,
            scene=Scene(camera, things, depth_m=depth),
            depth_m=depth,
            trusts=frozenset({Fact.METRIC, Fact.COLORS}),
        )


@dataclass(frozen=True)
class Points:
    """Asks where squares are, as locations or as chains of one step."""

    kind: Kind = Kind.LOCATION
    needs: frozenset[Fact] = frozenset({Fact.COLORS})

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        yield Rejected(self.kind, "not unique")
        view = shot.views[0]
        for number in range(wish.most):
            thing = view.scene.objects[int(rng.integers(3))]
            v, u = np.argwhere(thing.mask)[int(rng.integers(64))]
            point = (round((u + 0.5) / WIDTH, 3), round((v + 0.5) / HEIGHT, 3))
            answer = f"[({point[0]:.3f}, {point[1]:.3f})]"
            steps: tuple[KeyStep, ...] = ()
            if self.kind is Kind.CHAIN:
                steps = (KeyStep(PerceptionType.POSITION, "the square", point),)
            yield Example(
                id=f"{view.key}-{self.kind.value}-{number}",
                kind=self.kind,
                views=tuple(range(len(shot.views))) if self.kind is Kind.MULTI_VIEW else (0,),
                question=f"Where is square {thing.id} ({number})?",
                answer=answer,
                steps=steps,
                point=point,
                facts={"target": thing.id, "relation": "left", "frame": "viewer"},
                phrasing="plain",
            )


@dataclass(frozen=True)
class YesNo:
    """Asks for yes or no; needs more than squares vouch for when it is told so."""

    kind: Kind = Kind.PREDICATE
    needs: frozenset[Fact] = frozenset()

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        for number in range(wish.most):
            answer = "Yes." if rng.random() < 0.5 else "No."
            yield Example(
                id=f"{shot.views[0].key}-{self.kind.value}-{number}",
                kind=self.kind,
                views=(0,),
                question=f"Is it so ({number})?",
                answer=answer,
                facts={"relation": "right"},
            )


@dataclass(frozen=True)
class Failing:
    """Has a mistake."""

    kind: Kind = Kind.QUANTITY
    needs: frozenset[Fact] = frozenset()

    def make(
        self, shot: Shot, rng: np.random.Generator, wish: Wish
    ) -> Iterator[Example | Rejected]:
        raise ZeroDivisionError(f"mistake in {shot.views[0].key}")
        yield


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
