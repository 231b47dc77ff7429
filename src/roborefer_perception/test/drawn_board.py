# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a board at a known pose."""

import cv2
import numpy as np


def seen(board, t_camera_board, camera):
    """Picture of a board on grey ground, uint8: every pixel is the mean of four rays."""
    drawn = board.picture(120)
    per_m = np.float32(120 / board.square_m)
    turn, at = t_camera_board[:3, :3].astype(np.float32), t_camera_board[:3, 3]
    middle = camera.ray_image
    total = np.zeros((camera.height, camera.width), np.float32)
    for du in (-0.25, 0.25):
        for dv in (-0.25, 0.25):
            x = middle[..., 0] + np.float32(du / camera.fx)
            y = middle[..., 1] + np.float32(dv / camera.fy)
            # Where the ray meets the plane z = 0 of the board.
            scale = np.float32(turn[:, 2] @ at) / (turn[0, 2] * x + turn[1, 2] * y + turn[2, 2])
            columns, rows = (
                (scale * (a[0] * x + a[1] * y + a[2]) - np.float32(a @ at)) * per_m
                - np.float32(0.5)
                for a in (turn[:, 0], turn[:, 1])
            )
            total += cv2.remap(drawn, columns, rows, cv2.INTER_LINEAR, borderValue=128)
    return np.rint(total / 4).astype(np.uint8)
