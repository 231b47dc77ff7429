#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells where things are; nothing moves.

python3 refer.py "the red mug" "the free space left of the plate"
"""

import sys

from roborefer_bringup.client import Robot, RobotError


def main() -> int:
    """Refer to each argument; return how many were not found."""
    missed = 0
    with Robot() as robot:
        for words in sys.argv[1:] or ["the red mug"]:
            try:
                place = robot.refer(words)
            except RobotError as error:
                print(f"{words}: {error}")
                missed += 1
                continue
            u, v = place.pixel
            print(f"{words}: {place.label or 'a place'} at pixel ({u:.0f}, {v:.0f})", end="")
            if place.position is not None:
                x, y, z = place.position
                print(f", ({x:.3f}, {y:.3f}, {z:.3f}) m in {place.frame}", end="")
            print(f", confidence {place.confidence:.2f}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
