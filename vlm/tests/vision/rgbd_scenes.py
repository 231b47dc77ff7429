# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A small ray caster: tables with simple bodies, seen by a depth camera whose truth is known.

Bodies live in a world with z up and the table's top at z = 0. The rendered picture, depth and
instance masks form a Query; `Rendered` also knows the true masks, boxes and camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from roborefer_vlm.types import GivenObject, Intrinsics, Query

FAR = 1e9
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Body:
    """Something that rays can hit.

    Attributes:
        name: Noun phrase.
        color: RGB, 0 to 255.
        center: Of its bottom, world, metres.
        size: Full lengths along x, y, z; cylinders and balls use the first as diameter.
        shape: box, cylinder (upright), vessel (open cylinder), roll (cylinder along y) or ball.
        yaw: Of a box, radians.
    """

    name: str
    color: tuple[int, int, int]
    center: Vector
    size: Vector
    shape: str = "box"
    yaw: float = 0.0

    @property
    def middle(self) -> np.ndarray:
        """Its middle, world, shape (3,)."""
        return np.array(self.center) + np.array([0, 0, self.size[2] / 2])

    def near(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Return the indices of rays that pass through a ball around it; no other can hit."""
        away = self.middle - origin
        missed = away @ away - np.square(rays @ away) / np.square(rays).sum(1)
        return np.flatnonzero(missed <= (sum(self.size) / 2) ** 2)

    def hit(self, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distances along rays, shape (N,), FAR where missed, and normals (N, 3)."""
        turn = np.eye(3)
        turn[:2, :2] = [
            [np.cos(self.yaw), -np.sin(self.yaw)],
            [np.sin(self.yaw), np.cos(self.yaw)],
        ]
        start, local = (origin - self.middle) @ turn, rays @ turn
        if self.shape == "roll":
            # Along y: swap y and z, and back.
            swap = [0, 2, 1]
            t, normal = _cylinder(start[swap], local[:, swap], self.size[0] / 2, self.size[1])
            normal = normal[:, swap]
        elif self.shape == "cylinder":
            t, normal = _cylinder(start, local, self.size[0] / 2, self.size[2])
        elif self.shape == "vessel":
            t, normal = _vessel(start, local, self.size[0] / 2, self.size[2])
        elif self.shape == "ball":
            t, normal = _ball(start, local, self.size[0] / 2)
        else:
            t, normal = _box(start, local, np.array(self.size) / 2)
        return t, normal @ turn.T


@dataclass(frozen=True, eq=False)
class Rendered:
    """What the camera saw, and what is true.

    Attributes:
        query: Picture, noisy depth, intrinsics and the true masks as given objects.
        ids: Per pixel the number of the body from 1; 0 for everything else.
        bodies: In the order of the ids.
        depth: True depth, 0 where nothing is.
        up: Against gravity in the optical frame.
        eye: Where the camera is, world.
    """

    query: Query
    ids: np.ndarray
    bodies: tuple[Body, ...]
    depth: np.ndarray
    up: np.ndarray
    eye: np.ndarray

    def mask(self, name: str) -> np.ndarray:
        """Return the visible pixels of a body."""
        return self.ids == 1 + [b.name for b in self.bodies].index(name)

    def blind(self) -> Query:
        """Return the query without given objects."""
        return replace(self.query, objects=())


@dataclass(frozen=True)
class Shot:
    """How a scene is taken.

    Attributes:
        eye: Camera, world, metres.
        target: What its middle pixel looks at.
        roll: About the optical axis, radians.
        focal: In pixels.
        noise: Standard deviation of depth at 1 m, metres; grows with the square of distance.
        holes: Share of the pixels without depth, in spots of some pixels.
        shift: Pixels (right, down) by which depth is off against the picture.
    """

    eye: Vector = (-0.75, 0.0, 0.55)
    target: Vector = (0.0, 0.0, 0.03)
    width: int = 320
    height: int = 240
    focal: float = 300.0
    roll: float = 0.0
    noise: float = 0.0015
    holes: float = 0.0
    shift: tuple[int, int] = (0, 0)
    seed: int = 0
    table: tuple[float, float] | None = (1.2, 1.4)
    table_color: tuple[int, int, int] = (150, 120, 90)
    floor: bool = True
    light: tuple[float, float, float] = field(default=(1.0, 1.0, 1.0))


def render(bodies: Sequence[Body], shot: Shot | None = None, text: str = "the thing") -> Rendered:
    """Take a picture of bodies on a table."""
    shot = shot or Shot()
    rotation = _look(shot)
    k = Intrinsics(
        shot.width,
        shot.height,
        shot.focal,
        shot.focal,
        shot.width / 2 - 0.5,
        shot.height / 2 - 0.5,
    )
    v, u = np.mgrid[0 : shot.height, 0 : shot.width]
    optical = np.stack([(u - k.cx) / k.fx, (v - k.cy) / k.fy, np.ones(u.shape)], -1).reshape(-1, 3)
    eye, rays = np.array(shot.eye), optical @ rotation.T
    nearest, ids = np.full(len(rays), FAR), np.zeros(len(rays), int)
    color, normal = np.zeros((len(rays), 3)), np.zeros((len(rays), 3))

    def put(
        rows: np.ndarray, t: np.ndarray, n: np.ndarray, shade: tuple[int, int, int], number: int
    ) -> None:
        closer = t < nearest[rows]
        rows = rows[closer]
        nearest[rows], ids[rows] = t[closer], number
        color[rows], normal[rows] = shade, n[closer]

    flat, everywhere = np.tile([0.0, 0.0, 1.0], (len(rays), 1)), np.arange(len(rays))
    with np.errstate(divide="ignore"):
        if shot.table is not None:
            t = -eye[2] / rays[:, 2]
            place = eye + t[:, None] * rays
            on = (np.abs(place[:, :2]) < np.array(shot.table) / 2).all(1) & (t > 0)
            put(everywhere, np.where(on, t, FAR), flat, shot.table_color, 0)
        if shot.floor:
            t = -(eye[2] + 0.75) / rays[:, 2]
            put(everywhere, np.where((t > 0) & (t < 6), t, FAR), flat, (90, 100, 110), 0)
    for number, body in enumerate(bodies, 1):
        rows = body.near(eye, rays)
        put(rows, *body.hit(eye, rays[rows]), body.color, number)
    depth = np.where(nearest < FAR, nearest, 0).reshape(shot.height, shot.width)
    random = np.random.default_rng(shot.seed)
    shade = 0.55 + 0.45 * np.clip(normal @ np.array([-0.4, 0.2, 0.9]), 0, 1)
    picture = color * shade[:, None] * shot.light + random.normal(0, 3, color.shape)
    image = np.clip(picture, 0, 255).astype(np.uint8).reshape(*depth.shape, 3)
    ids = ids.reshape(depth.shape)
    measured = _measured(depth, shot, random)
    given = tuple(
        GivenObject(b.name, ids == i) for i, b in enumerate(bodies, 1) if (ids == i).any()
    )
    query = Query(image, text, depth_m=measured, intrinsics=k, objects=given)
    return Rendered(query, ids, tuple(bodies), depth, rotation.T @ [0, 0, 1.0], eye)


def _measured(depth: np.ndarray, shot: Shot, random: np.random.Generator) -> np.ndarray:
    """Return depth with noise, holes and misregistration."""
    noisy = depth + random.normal(0, 1, depth.shape) * shot.noise * np.square(depth)
    if shot.holes:
        coarse = random.random((depth.shape[0] // 4 + 1, depth.shape[1] // 4 + 1)) < shot.holes
        spots = np.repeat(np.repeat(coarse, 4, 0), 4, 1)[: depth.shape[0], : depth.shape[1]]
        noisy = np.where(spots, 0, noisy)
    noisy = np.where(depth > 0, noisy, 0)
    return np.roll(noisy, (shot.shift[1], shot.shift[0]), (0, 1)).astype(np.float32)


def _look(shot: Shot) -> np.ndarray:
    """Return the optical axes as columns in the world."""
    ahead = np.array(shot.target) - shot.eye
    ahead = ahead / np.linalg.norm(ahead)
    reference = (0, 0, 1.0) if abs(ahead[2]) < 0.99 else (1.0, 0, 0)
    right = np.cross(ahead, reference)
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    c, s = np.cos(shot.roll), np.sin(shot.roll)
    return np.column_stack([c * right + s * down, -s * right + c * down, ahead])


def _box(start: np.ndarray, rays: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (-half - start) / rays, (half - start) / rays
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    t, axis = enter.max(1), enter.argmax(1)
    normal = np.zeros_like(rays)
    rows = np.arange(len(rays))
    normal[rows, axis] = -np.sign(rays[rows, axis])
    return np.where((t < leave.min(1)) & (t > 0), t, FAR), normal


def _ball(start: np.ndarray, rays: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    near, _ = _roots((rays**2).sum(1), rays @ start, start @ start - radius**2)
    return near, (start + np.where(near < FAR, near, 0)[:, None] * rays) / radius


def _roots(a: np.ndarray, b: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Return both solutions of a t² + 2 b t + c = 0, FAR where there is none ahead."""
    inside = b * b - a * c
    root = np.sqrt(np.maximum(inside, 0))
    safe = np.maximum(a, 1e-12)
    near, far = (-b - root) / safe, (-b + root) / safe
    good = (inside > 0) & (a > 1e-12)
    return np.where(good & (near > 0), near, FAR), np.where(good & (far > 0), far, FAR)


def _nearest(
    hits: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    t, normal = hits[0]
    t, normal = t.copy(), normal.copy()
    for other, n in hits[1:]:
        closer = other < t
        t[closer], normal[closer] = other[closer], n[closer]
    return t, normal


def _wall(
    start: np.ndarray, rays: np.ndarray, radius: float, height: float, inner: bool
) -> tuple[np.ndarray, np.ndarray]:
    across = rays[:, :2]
    near, far = _roots(
        (across**2).sum(1), across @ start[:2], float(start[:2] @ start[:2]) - radius**2
    )
    t = far if inner else near
    place = start + np.where(t < FAR, t, 0)[:, None] * rays
    normal = np.concatenate([place[:, :2] / radius, np.zeros((len(rays), 1))], 1)
    good = (t < FAR) & (np.abs(place[:, 2]) < height / 2)
    return np.where(good, t, FAR), -normal if inner else normal


def _disc(
    start: np.ndarray, rays: np.ndarray, z: float, radii: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (z - start[2]) / rays[:, 2]
        place = start + t[:, None] * rays
        far = np.linalg.norm(place[:, :2], axis=1)
    good = (t > 0) & (far < radii[1]) & (far >= radii[0])
    normal = np.tile([0.0, 0.0, 1.0], (len(rays), 1)) * -np.sign(rays[:, 2:])
    return np.where(good, t, FAR), normal


def _cylinder(
    start: np.ndarray, rays: np.ndarray, radius: float, height: float
) -> tuple[np.ndarray, np.ndarray]:
    caps = [_disc(start, rays, z, (0, radius)) for z in (-height / 2, height / 2)]
    return _nearest([_wall(start, rays, radius, height, False), *caps])


def _vessel(
    start: np.ndarray, rays: np.ndarray, radius: float, height: float
) -> tuple[np.ndarray, np.ndarray]:
    thin = 0.004
    return _nearest(
        [
            _wall(start, rays, radius, height, False),
            _wall(start, rays, radius - thin, height, True),
            _disc(start, rays, thin - height / 2, (0, radius)),
            _disc(start, rays, height / 2, (radius - thin, radius)),
        ]
    )
