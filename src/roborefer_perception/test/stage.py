# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Flat textured cards in front of a textured wall, seen by a camera without flaws."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from roborefer_perception.core.camera import Camera
from roborefer_perception.core.types import Kind, Place, RgbdFrame

CAMERA = Camera(320, 240, 300.0, 300.0, 159.5, 119.5)
START_NS = 1_000_000_000


def texture(seed, colour, size=64):
    """Cloudy texture around a colour, uint8, (size, size, 3)."""
    noise = np.random.default_rng(seed).normal(size=(size, size, 1)).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), 3)[..., None]
    clouds *= 40 / clouds.std()
    return np.clip(clouds + np.array(colour, np.float32), 0, 255).astype(np.uint8)


@dataclass
class Card:
    """A square card that faces along z; its middle in world, metres."""

    middle: tuple[float, float, float]
    side: float = 0.12
    colour: tuple[int, int, int] = (190, 60, 50)
    seed: int = 1
    turn: float = 0.0

    def __post_init__(self):
        self.texture = texture(self.seed, self.colour)


@dataclass
class Stage:
    """Cards, and where the camera stands; world has the axes of the first optical frame."""

    cards: list[Card]
    t_world_optical: np.ndarray = field(default_factory=lambda: np.eye(4))
    wall_m: float = 1.4
    noise: float = 2.0

    def __post_init__(self):
        self._wall = texture(99, (110, 120, 100), 512)
        rng = np.random.default_rng(5)
        shape = (CAMERA.height, CAMERA.width, 3)
        self._grains = [rng.normal(0, self.noise, shape).astype(np.int16) for _ in range(5)]
        self._taken = 0

    def frame(self, seconds=0.0):
        """Take a picture: things are drawn from far to near."""
        wall = Card((0.0, 0.0, self.wall_m), side=4.0)
        wall.texture = self._wall
        rgb = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
        depth = np.zeros((CAMERA.height, CAMERA.width), np.float32)
        for card in [wall, *sorted(self.cards, key=lambda card: -card.middle[2])]:
            corners = self._corners(card)
            pixels = CAMERA.project(corners).astype(np.float32)
            size = card.texture.shape[0]
            square = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32) - 0.5
            way = cv2.getPerspectiveTransform(square, pixels)
            shape = (CAMERA.width, CAMERA.height)
            drawn = cv2.warpPerspective(card.texture, way, shape)
            mask = cv2.warpPerspective(np.ones((size, size), np.uint8), way, shape) > 0
            rgb[mask] = drawn[mask]
            normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
            rays = np.c_[CAMERA.ray_image[mask], np.ones(int(mask.sum()))]
            depth[mask] = normal @ corners[0] / (rays @ normal)
        self._taken += 1
        grain = self._grains[self._taken % len(self._grains)]
        return RgbdFrame(
            START_NS + round(seconds * 1e9), "camera_optical_frame",
            np.clip(rgb + grain, 0, 255).astype(np.uint8), depth.astype(np.float32), CAMERA,
        )  # fmt: skip

    def _corners(self, card):
        half, cos, sin = card.side / 2, np.cos(card.turn), np.sin(card.turn)
        flat = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
        flat = flat @ np.array([[cos, sin], [-sin, cos]])
        corners = np.c_[flat, np.zeros(4)] + card.middle
        pose = np.linalg.inv(self.t_world_optical)
        return corners @ pose[:3, :3].T + pose[:3, 3]

    def seen(self, point):
        """Bring a point of world into the optical frame."""
        pose = np.linalg.inv(self.t_world_optical)
        return pose[:3, :3] @ np.asarray(point) + pose[:3, 3]

    def place(self, frame, card, offset=(0.0, 0.0)):
        """The true place on a card, metres from its middle."""
        point = self.seen(np.add(card.middle, (*offset, 0.0)))
        u, v = CAMERA.project(point[None])[0]
        corners = CAMERA.project(self._corners(card)).round().astype(np.int32)
        region = np.zeros(frame.depth_m.shape, np.uint8)
        cv2.fillConvexPoly(region, corners, 1)
        rotation = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
        return Place(
            point, rotation, np.eye(6) * 1e-6, np.array([card.side, card.side, 0.0]),
            (float(u), float(v)), 0.0, region > 0, Kind.OBJECT,
        )  # fmt: skip
