# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What every format of points comes down to, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from roborefer_vlm.exceptions import AnswerError

# An answer of 8192 tokens, the most that a query may ask for, is shorter.
LONGEST_ANSWER = 65536
MOST_POINTS = 256
LONGEST_LABEL = 200


@dataclass(frozen=True)
class Mark:
    """A point in the scale and order in which the model wrote it."""

    first: float
    second: float
    depth_m: float | None = None
    label: str = ""

    @classmethod
    def of_numbers(cls, numbers: tuple[float, ...], with_depth: bool = False) -> Mark:
        """Make a mark of a point, a point with distance, or the corners of a box (its centre).

        Raises:
            AnswerError: Another count of numbers, an inverted box, or no positive distance.
        """
        match len(numbers), with_depth:
            case 2, False:
                return cls(numbers[0], numbers[1])
            case 3, True:
                if numbers[2] <= 0:
                    raise AnswerError(f"distance {numbers[2]:g} m of a point is not positive")
                return cls(numbers[0], numbers[1], numbers[2])
            case 4, False:
                left, top, right, bottom = numbers
                if left > right or top > bottom:
                    raise AnswerError(f"the corners of box {numbers} are in the wrong order")
                return cls((left + right) / 2, (top + bottom) / 2)
        wanted = "(u, v, d)" if with_depth else "(x, y) or the four corners of a box"
        raise AnswerError(
            f"{len(numbers)} numbers {numbers[:5]} stand together; {wanted} is right"
        )
