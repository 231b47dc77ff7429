# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What a robot in words can be made to show and to fail at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from roborefer_operator.core.ports import Outcome
from roborefer_operator.exceptions import Reason, TaskFailure

WIDTH, HEIGHT = 640, 480
_TABLE, _FAR_MM, _NEAR_MM = (150, 140, 128), 800, 720
_COLORS = {
    "red": (200, 40, 40), "blue": (40, 70, 200), "green": (40, 150, 60), "yellow": (220, 190, 40),
    "black": (30, 30, 30), "white": (240, 240, 240), "orange": (230, 120, 30),
}  # fmt: skip
_HALF = 24
_MARK = (255, 64, 110)
_SERVERS = ("refer", "pick", "place", "go_to")
Rgb = npt.NDArray[np.uint8]
Millimetres = npt.NDArray[np.uint16]
Pixels = Mapping[str, tuple[float, float]]


def draw(things: Pixels) -> tuple[Rgb, Millimetres]:
    """Draw the table from above, with a square for each thing.

    Args:
        things: Name to pixel.

    Returns:
        Colour, shape (HEIGHT, WIDTH, 3), and depth in millimetres, shape (HEIGHT, WIDTH).
    """
    rgb = np.full((HEIGHT, WIDTH, 3), _TABLE, np.uint8)
    depth = np.full((HEIGHT, WIDTH), _FAR_MM, np.uint16)
    for name, pixel in things.items():
        square = _square(pixel, _HALF)
        rgb[square] = next((_COLORS[w] for w in name.split() if w in _COLORS), (205, 205, 200))
        depth[square] = _NEAR_MM
    return rgb, depth


def marked(rgb: Rgb, pixel: tuple[float, float]) -> Rgb:
    """Return the picture with a frame around a pixel."""
    picture = rgb.copy()
    picture[_square(pixel, _HALF + 8)] = _MARK
    inner = _square(pixel, _HALF + 5)
    picture[inner] = rgb[inner]
    return picture


def _square(pixel: tuple[float, float], half: int) -> tuple[slice, slice]:
    u, v = (round(p) for p in pixel)
    return slice(max(0, v - half), max(0, v + half)), slice(max(0, u - half), max(0, u + half))


@dataclass(frozen=True)
class Failure:
    """Something that goes wrong.

    Attributes:
        what: Name of the server.
        code: Constant of ErrorCode; 0: the goal is refused.
        times: How many of the first requests.
    """

    what: str
    code: int
    times: int = 1


def read_failures(texts: Sequence[str]) -> list[Failure]:
    """Read what shall fail, such as "pick:208:3" or "place:reject"; empty texts are none.

    Raises:
        TaskFailure: INVALID_GOAL.
    """
    found = []
    for text in filter(None, texts):
        what, _, rest = text.partition(":")
        code, _, times = rest.partition(":")
        good = what in _SERVERS and (code.isdigit() or code == "reject")
        if not good or not (times.isdigit() or not times):
            raise TaskFailure(
                Reason.INVALID_GOAL,
                f"'{text}' is no failure; write such as pick:208, place:245:3 or go_to:reject",
            )
        found.append(Failure(what, 0 if code == "reject" else int(code), int(times or 1)))
    return found


def failing(failures: Sequence[Failure]) -> Callable[[str, int], Outcome | None]:
    """Return what `WordWorld.fail` is for these failures; refused goals are not its business."""

    def fail(what: str, number: int) -> Outcome | None:
        for failure in failures:
            if failure.code and failure.what == what and number <= failure.times:
                return Outcome(failure.code, "made to fail")
        return None

    return fail
