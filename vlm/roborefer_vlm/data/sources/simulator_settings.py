# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tables, cameras and lights of the simulator source are like, and what is held out.

Numbers that RefSpatial states for its simulator data (arXiv 2506.04308) are the defaults: 3 to 9
things on a table, pitch of the camera -60 to -30 degrees, height 0.3 to 0.8 m, light 0.6 to 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roborefer_vlm.exceptions import ConfigurationError


class SceneSplit(StrEnum):
    """Which scenes are drawn; the two never share one.

    Each split has random numbers of its own, so no seed of one gives a scene of the other.
    """

    # Things in every colour of the library but those of UNSEEN.
    TRAINING = "training"
    # All things in all colours; those of UNSEEN come more often. For benchmarks only.
    HELD_OUT = "held_out"


# Things (keys of roborefer_sim's library) in colours that no training picture shows. Each of these
# things occurs in training in other colours, and each colour on other things, so only the
# composition is new. Things that share a noun ("can", "cup", "dish") share what is held out too,
# so the words never came together either.
UNSEEN = frozenset(
    {
        ("apple", "yellow"),
        ("ball", "pink"),
        ("basket", "blue"),
        ("block", "purple"),
        ("bottle", "teal"),
        ("bowl", "red"),
        ("brick", "white"),
        ("carton", "orange"),
        ("cereal_box", "blue"),
        ("cup", "purple"),
        ("jar", "brown"),
        ("marker", "black"),
        ("mug", "yellow"),
        ("plate", "green"),
        ("soda_can", "orange"),
        ("soup_can", "orange"),
        ("sponge", "pink"),
    }
)


@dataclass(frozen=True)
class SimulatorSettings:
    """What pictures of the simulator source are like; ranges are drawn from evenly.

    Attributes:
        width: Columns.
        height: Rows.
        fewest: Least number of things on a table.
        most: Greatest number of things on a table.
        least_visible: How many named things every view must show clearly.
        same_kind: Chance that a thing is of a kind that is there already.
        in_containers: Chance that a thing goes into a container that has room.
        on_others: Chance that a thing stands on another one with a flat top.
        strangers: Chance that things outside the vocabulary are among the others.
        painted: Chance that table and floor have a pattern.
        shadows: Chance that the main light throws shadows; they double the time of a picture.
        perfect_sensor: Chance that the sensor has no flaws.
        sensor: Strength of its flaws otherwise, a factor.
        pitch_deg: Of the camera; below 0 it looks down.
        height_m: Of the camera above the table.
        field_deg: What it sees from left to right.
        light: Factor on the strength of the main light.
        split: Which scenes are drawn.
    """

    width: int = 640
    height: int = 480
    fewest: int = 3
    most: int = 9
    least_visible: int = 3
    same_kind: float = 0.35
    in_containers: float = 0.5
    on_others: float = 0.25
    strangers: float = 0.3
    painted: float = 0.5
    shadows: float = 0.15
    perfect_sensor: float = 0.15
    sensor: tuple[float, float] = (0.3, 1.5)
    pitch_deg: tuple[float, float] = (-60.0, -30.0)
    height_m: tuple[float, float] = (0.3, 0.8)
    field_deg: tuple[float, float] = (48.0, 72.0)
    light: tuple[float, float] = (0.6, 1.4)
    split: SceneSplit = SceneSplit.TRAINING

    def __post_init__(self) -> None:
        if not (32 <= self.width <= 4096 and 32 <= self.height <= 4096):
            raise ConfigurationError(
                f"the picture is {self.width} x {self.height}; 32 to 4096 pixels a side will do"
            )
        if not 1 <= self.least_visible <= self.fewest <= self.most:
            raise ConfigurationError(
                f"least_visible {self.least_visible}, fewest {self.fewest} and most {self.most}"
                " must be 1 <= least_visible <= fewest <= most"
            )
        for name in ("same_kind", "in_containers", "on_others", "strangers", "painted", "shadows",
                     "perfect_sensor"):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; a chance is 0 to 1")
        limits = {"sensor": (0, 5), "pitch_deg": (-85, -15), "height_m": (0.2, 2),
                  "field_deg": (20, 110), "light": (0.1, 2)}  # fmt: skip
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ConfigurationError(
                    f"{name} is {low} to {high}; it must rise and lie within {least} and {most}"
                )
