# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How near or far things are."""

from __future__ import annotations

from roborefer_vlm.scenes.graph import Array
from roborefer_vlm.scenes.relations.case import Case
from roborefer_vlm.scenes.relations.grading import decaying


def near(case: Case) -> Array:
    """Close to the anchor: the surfaces are no further apart than the reach of both."""
    return decaying(case.gaps, case.reach)


def far(case: Case) -> Array:
    """Not close to the anchor: the surfaces are further apart than the reach of both."""
    return 1 - near(case)
