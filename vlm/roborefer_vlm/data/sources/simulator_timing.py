# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How quickly the simulator source takes shots on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SimulatorSettings
from roborefer_vlm.exceptions import ConfigurationError


@dataclass(frozen=True)
class RenderingRate:
    """What a number of views took, all threads of the process together.

    Attributes:
        views: How many were taken.
        wall_s: Seconds by the clock.
        cpu_s: Seconds of processor time, which other programs hardly change.
    """

    views: int
    wall_s: float
    cpu_s: float

    @property
    def views_per_s_per_core(self) -> float:
        """Views in a second of one core's time."""
        return self.views / self.cpu_s


def rendering_rate(
    settings: SimulatorSettings | None = None, views: int = 100, seed: int = 0
) -> RenderingRate:
    """Take views, everything included: scene, picture, masks, depth, sensor and scene graph.

    The first shot, which loads the simulator and OpenGL, is not counted.

    Args:
        settings: What pictures are like; None: the defaults.
        views: How many.
        seed: Of the scenes.

    Raises:
        ConfigurationError: Pictures cannot be drawn here, or `views` is not positive.
    """
    if views < 1:
        raise ConfigurationError(f"views is {views}; at least 1 is needed to measure a rate")
    source = SimulatorSource(seed, views + 1, settings=settings)
    source.shot(views)
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(views):
        source.shot(index)
    rate = RenderingRate(views, time.perf_counter() - wall, time.process_time() - cpu)
    source.close()
    return rate
