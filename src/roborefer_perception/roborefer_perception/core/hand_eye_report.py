# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A calibration in words and files: residuals, YAML, and how to publish it."""

from __future__ import annotations

import json
import shlex

import numpy as np
from scipy.spatial.transform import Rotation

from roborefer_perception.core.camera import Array
from roborefer_perception.core.hand_eye import Calibration, angle_deg


def numbers_of(pose: Array) -> tuple[list[float], list[float]]:
    """Position in metres and quaternion x, y, z, w of a pose, shape (4, 4)."""
    turn = Rotation.from_matrix(pose[:3, :3]).as_quat(canonical=True)
    return np.round(pose[:3, 3], 6).tolist(), np.round(turn, 8).tolist()


def command(pose: Array, parent: str, child: str) -> str:
    """Return the shell command that publishes a pose as a static transform."""
    options = shlex.join(_options(pose, parent, child))
    return f"ros2 run tf2_ros static_transform_publisher {options}"


def launch_lines(pose: Array, parent: str, child: str) -> str:
    """Return the lines of a Python launch file that publish a pose as a static transform."""
    return (
        "Node(\n"
        '    package="tf2_ros",\n'
        '    executable="static_transform_publisher",\n'
        f"    arguments={json.dumps(_options(pose, parent, child))},\n"
        ")"
    )


def _options(pose: Array, parent: str, child: str) -> list[str]:
    position, turn = numbers_of(pose)
    values = dict(zip(("x", "y", "z", "qx", "qy", "qz", "qw"), position + turn, strict=True))
    frames = {"frame-id": parent, "child-frame-id": child}
    pairs = {**values, **frames}.items()
    return [word for name, value in pairs for word in (f"--{name}", str(value))]


def table(calibration: Calibration) -> str:
    """Return the residuals of all samples, the methods compared, and the uncertainty."""
    lines = ["sample   mm      deg     px"]
    for number, residual in enumerate(calibration.residuals, 1):
        note = "" if residual.used else "  outlier, not used"
        lines.append(
            f"{number:6} {residual.position_mm:6.2f} {residual.rotation_deg:7.3f}"
            f" {residual.error_px:6.2f}{note}"
        )
    found = calibration.t_holder_camera
    for name, other in calibration.methods.items():
        shift = 1e3 * float(np.linalg.norm(other[:3, 3] - found[:3, 3]))
        lines.append(
            f"{name} differs from the result by {shift:.2f} mm and"
            f" {angle_deg(other, found):.3f} degrees"
        )
    lines.append(
        f"standard deviation by leaving samples out: {calibration.uncertainty_mm:.2f} mm,"
        f" {calibration.uncertainty_deg:.3f} degrees"
    )
    return "\n".join(lines)


def yaml_text(calibration: Calibration, pose: Array, parent: str, child: str) -> str:
    """Return the content of the file that keeps a calibration.

    Args:
        calibration: With its residuals.
        pose: Of child in parent, shape (4, 4).
        parent: Frame of the tool or the base.
        child: Frame of the camera that is given a place by this.
    """
    position, turn = numbers_of(pose)
    residuals = calibration.residuals
    used = [residual for residual in residuals if residual.used]
    comments = "\n".join([command(pose, parent, child), launch_lines(pose, parent, child)])
    lines = [
        "# Pose of the child in the parent frame, by hand-eye calibration. Publish it with:",
        *(f"#   {line}" for line in comments.splitlines()),
        f"mount: {calibration.mount}",
        f"parent_frame: {json.dumps(parent)}",
        f"child_frame: {json.dumps(child)}",
        *_block("translation", ("x", "y", "z"), position),
        *_block("rotation", ("x", "y", "z", "w"), turn),
        f"samples: {len(used)}",
        f"outliers: {len(residuals) - len(used)}",
        f"uncertainty_mm: {calibration.uncertainty_mm:.3f}",
        f"uncertainty_deg: {calibration.uncertainty_deg:.4f}",
        f"residuals_mm: {[round(residual.position_mm, 3) for residual in residuals]}",
        f"residuals_deg: {[round(residual.rotation_deg, 4) for residual in residuals]}",
        f"residuals_px: {[round(residual.error_px, 3) for residual in residuals]}",
        f"used: {json.dumps([residual.used for residual in residuals])}",
    ]
    return "\n".join(lines) + "\n"


def _block(name: str, axes: tuple[str, ...], values: list[float]) -> list[str]:
    return [f"{name}:"] + [f"  {axis}: {value}" for axis, value in zip(axes, values, strict=True)]
