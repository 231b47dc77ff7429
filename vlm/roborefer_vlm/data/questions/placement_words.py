# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Wordings of questions for free space."""

from __future__ import annotations

from roborefer_vlm.data.questions.asking import Wording
from roborefer_vlm.scenes.program import PartName, Side

QUESTIONS = (
    Wording("point", "Point to a free spot {where}."),
    Wording("please", "Please point out the free space {where}."),
    Wording("point_free", "Please point to the free space {where}."),
    Wording("find", "Find an empty place {where}."),
    Wording("room", "Where is there room to put something down {where}?"),
    Wording("put", "Where could I put something so that it is {where}?"),
    Wording("vacant", "Pinpoint a spot within the vacant space {where}."),
    Wording("locate", "Locate vacant space {where}."),
    Wording("held_out_mark", "Mark an unoccupied place {where}."),
    Wording("held_out_want", "I want to set something down {where}. Where does it fit?"),
    Wording("held_out_show", "Show me somewhere clear {where}."),
)
# RoboSpatial's form names the thing first.
CONTEXT = (
    Wording("there_is", "In the image, there is {a}. Pinpoint a spot in the vacant space {its}."),
    Wording("held_out_see", "You can see {a}. Point at a clear spot {its}."),
)
NEAREST = (
    Wording("nearest", "Point to the nearest free spot {where}."),
    Wording("closest", "Find the closest place to put something down {where}."),
    Wording("held_out_gap", "With as small a gap as possible, where is there room {where}?"),
)
ON_TOP = (
    Wording("top", "on top of {a}"),
    Wording("on", "on {a}"),
    Wording("held_out_upon", "upon {a}"),
)
INSIDE = (
    Wording("inside", "inside {a}"),
    Wording("in", "in {a}"),
    Wording("held_out_within", "within {a}"),
)
PARTS = {
    PartName.EDGE: (
        Wording("at", "at the {side} edge of the {surface}"),
        Wording("along", "along the {side} edge of the {surface}"),
        Wording("held_out_border", "by the {side} border of the {surface}"),
    ),
    PartName.CORNER: (
        Wording("in", "in the {side} corner of the {surface}"),
        Wording("at", "at the {side} corner of the {surface}"),
        Wording("held_out_close", "close to the {side} corner of the {surface}"),
    ),
    PartName.CENTER: (
        Wording("middle", "in the middle of the {surface}"),
        Wording("center", "in the center of the {surface}"),
        Wording("held_out_middle", "around the midpoint of the {surface}"),
    ),
}
SIDES = {
    Side.LEFT: (Wording("left", "left"), Wording("held_out_left", "left-hand")),
    Side.RIGHT: (Wording("right", "right"), Wording("held_out_right", "right-hand")),
    Side.NEAR: (
        Wording("near", "near"),
        Wording("front", "front"),
        Wording("held_out_near", "nearer"),
    ),
    Side.FAR: (
        Wording("far", "far"),
        Wording("back", "back"),
        Wording("held_out_far", "farther"),
    ),
}
# Of a thing that was named just before.
ITS = {
    "left": "to its left",
    "right": "to its right",
    "front": "in front of it",
    "behind": "behind it",
}
ITS_FRAME = (
    Wording("own", "from its own perspective"),
    Wording("held_out_faces", "going by the way it faces"),
)
