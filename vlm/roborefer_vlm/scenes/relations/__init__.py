# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Spatial relations between places and things, graded from 0 to 1."""

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.places import Anchor, Places
from roborefer_vlm.scenes.relations.evaluate import relation_scores, relation_values
from roborefer_vlm.scenes.relations.measures import measure
from roborefer_vlm.scenes.relations.names import Key, Relation

__all__ = [
    "Anchor",
    "Frame",
    "Key",
    "Places",
    "Relation",
    "measure",
    "relation_scores",
    "relation_values",
]
