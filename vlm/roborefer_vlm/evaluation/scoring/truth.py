# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The right answer of a question, decoded, and what it says about points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from roborefer_vlm.evaluation.records import Area
from roborefer_vlm.picture_files import read_gray
from roborefer_vlm.types import BoolArray, FloatArray, Pixel

# A soft mask is a JPEG, whose noise must not decide: right is what is nearer to white.
SOFT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class DecodedArea:
    """A place with its pixels read.

    Attributes:
        width: Columns of the picture that points count in.
        height: Rows of it.
        weights: How right each pixel is, 0 to 1, shape (rows, columns) of the mask; None: there
            is only a polygon.
        polygon: Corners, (x, y) of which 0 to 1 span the picture.
        soft: Whether weights are more than 0 and 1.
    """

    width: int
    height: int
    weights: FloatArray | None
    polygon: tuple[tuple[float, float], ...] = ()
    soft: bool = False

    @classmethod
    def read(cls, area: Area, width: int, height: int) -> DecodedArea:
        """Decode the mask of an area for a picture of this size.

        Raises:
            PictureError: The mask cannot be decoded.
        """
        weights: FloatArray | None = None
        if area.mask is not None:
            gray = read_gray(area.mask).astype(np.float32)
            weights = gray / np.float32(255) if area.soft else np.sign(gray)
        return cls(width, height, weights, area.polygon, area.soft)

    def holds(self, pixel: Pixel) -> bool:
        """Tell whether a point is right; one outside the picture never is."""
        x, y = pixel.normalised(self.width, self.height)
        if not (0 <= x < 1 and 0 <= y < 1):
            return False
        if self.weights is None:
            return in_polygon(x, y, self.polygon)
        rows, columns = self.weights.shape
        weight = float(self.weights[int(y * rows), int(x * columns)])
        return weight >= SOFT_THRESHOLD if self.soft else weight > 0

    def pixels(self) -> BoolArray:
        """Return where a point is right, at the resolution of the mask, else of the picture."""
        if self.weights is not None:
            return self.weights >= SOFT_THRESHOLD if self.soft else self.weights > 0
        canvas = Image.new("1", (self.width, self.height))
        corners = [(x * self.width - 0.5, y * self.height - 0.5) for x, y in self.polygon]
        ImageDraw.Draw(canvas).polygon(corners, fill=1)
        return np.array(canvas)


def in_polygon(x: float, y: float, corners: Sequence[tuple[float, float]]) -> bool:
    """Tell whether a point is inside by the even-odd rule: a ray from it crosses odd edges."""
    inside = False
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
