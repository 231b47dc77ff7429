# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Spatial relations between places and things, graded from 0 to 1."""

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.places import Anchor, Places
from roborefer_vlm.scenes.relations.configuration import (
    Configuration,
    Definition,
    configuration_of,
)
from roborefer_vlm.scenes.relations.evaluate import (
    direction_scores,
    relation_scores,
    relation_values,
)
from roborefer_vlm.scenes.relations.measures import measure
from roborefer_vlm.scenes.relations.names import Key, Relation
from roborefer_vlm.scenes.relations.surroundings import (
    Fit,
    FreePoints,
    fit_beside,
    fit_on_top,
    spatial_context,
)

__all__ = [
    "Anchor",
    "Configuration",
    "Definition",
    "Fit",
    "Frame",
    "FreePoints",
    "Key",
    "Places",
    "Relation",
    "configuration_of",
    "direction_scores",
    "fit_beside",
    "fit_on_top",
    "measure",
    "relation_scores",
    "relation_values",
    "spatial_context",
]
