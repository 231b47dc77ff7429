# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Points and steps written as a family writes them: what parsing takes back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from roborefer_vlm.exceptions import QueryError
from roborefer_vlm.parsing.families import Family, Format, Order, Scale, family_named
from roborefer_vlm.types import Pixel


def render_points(
    points: Sequence[Pixel],
    width: int,
    height: int,
    family: Family | str = "roborefer",
    *,
    label: str = "",
    depths_m: Sequence[float] = (),
) -> str:
    """Write points of a picture as a model of the family would.

    Args:
        points: Places inside the picture.
        width: Columns of it.
        height: Rows of it.
        family: How to write, or the name of the family.
        label: What the points are; only tags and JSON have a place for it.
        depths_m: Per point the distance in metres, for families that write it.

    Raises:
        QueryError: A point lies outside the picture, or distances are missing.
    """
    convention = family_named(family) if isinstance(family, str) else family
    if convention.numbers == 3 and len(depths_m) != len(points):
        raise QueryError(f"{len(points)} points need as many distances, not {len(depths_m)}")
    pairs = [_coordinates(point, width, height, convention) for point in points]
    match convention.format:
        case Format.TUPLES:
            tails = [f", {depth:.3f}" for depth in depths_m] if convention.numbers == 3 else []
            tails = tails or [""] * len(pairs)
            inside = (f"({a}, {b}{tail})" for (a, b), tail in zip(pairs, tails, strict=True))
            return "[" + ", ".join(inside) + "]"
        case Format.XML:
            attributes = " ".join(f'x{i}="{a}" y{i}="{b}"' for i, (a, b) in enumerate(pairs, 1))
            return f"<points {attributes}/>" if pairs else "There are none."
        case Format.JSON:
            key = "point" if convention.order is Order.YX else "point_2d"
            places = [{key: [float(a), float(b)], "label": label} for a, b in pairs]
            return f"```json\n{json.dumps(places)}\n```"


def _coordinates(point: Pixel, width: int, height: int, family: Family) -> tuple[str, str]:
    if not point.inside(width, height):
        raise QueryError(f"{point} lies outside the picture of {width} x {height}")
    across, down = family.span(width, height)
    x, y = point.normalised(width, height)
    digits = 3 if family.scale is Scale.UNIT else 1
    pair = f"{x * across:.{digits}f}", f"{y * down:.{digits}f}"
    return (pair[1], pair[0]) if family.order is Order.YX else pair
