# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Wordings of yes/no questions about relations, comparisons and existence."""

from __future__ import annotations

from roborefer_vlm.data.questions.asking import Wording
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import Relation

# What follows "is {a}"; the names say how it is put, not which relation.
RELATIONS: dict[Relation, tuple[Wording, ...]] = {
    Relation.LEFT: (
        Wording("to_the", "to the left of {b}"),
        Wording("short", "left of {b}"),
        Wording("held_out_hand", "on the left-hand side of {b}"),
    ),
    Relation.RIGHT: (
        Wording("to_the", "to the right of {b}"),
        Wording("short", "right of {b}"),
        Wording("held_out_hand", "on the right-hand side of {b}"),
    ),
    Relation.FRONT: (
        Wording("plain", "in front of {b}"),
        Wording("nearer", "on the near side of {b}"),
        Wording("held_out_before", "before {b}"),
    ),
    Relation.BEHIND: (
        Wording("plain", "behind {b}"),
        Wording("farther", "on the far side of {b}"),
        Wording("held_out_back", "in back of {b}"),
    ),
    Relation.ABOVE: (
        Wording("plain", "above {b}"),
        Wording("held_out_over", "over {b}"),
    ),
    Relation.BELOW: (
        Wording("plain", "below {b}"),
        Wording("held_out_beneath", "beneath {b}"),
    ),
    Relation.NEAR: (
        Wording("plain", "near {b}"),
        Wording("close", "close to {b}"),
        Wording("held_out_by", "in the neighborhood of {b}"),
    ),
    Relation.FAR: (
        Wording("plain", "far from {b}"),
        Wording("away", "far away from {b}"),
        Wording("held_out_remote", "a long way from {b}"),
    ),
    Relation.TOUCH: (
        Wording("plain", "touching {b}"),
        Wording("contact", "in contact with {b}"),
        Wording("held_out_against", "up against {b}"),
    ),
    Relation.FAR_FROM: (
        Wording("plain", "separated from {b}"),
        Wording("apart", "apart from {b}, without touching it"),
        Wording("held_out_clear", "clear of {b}"),
    ),
    Relation.ON: (
        Wording("plain", "on {b}"),
        Wording("top", "on top of {b}"),
        Wording("held_out_resting", "resting on {b}"),
    ),
    Relation.UNDER: (
        Wording("plain", "under {b}"),
        Wording("held_out_underneath", "underneath {b}"),
    ),
    Relation.INSIDE: (
        Wording("plain", "inside {b}"),
        Wording("short", "in {b}"),
        Wording("held_out_within", "within {b}"),
    ),
    Relation.OUTSIDE: (
        Wording("plain", "outside {b}"),
        Wording("held_out_not_within", "outside of {b}"),
    ),
    Relation.BETWEEN: (
        Wording("plain", "between {b} and {c}"),
        Wording("space", "in the space between {b} and {c}"),
        Wording("held_out_halfway", "somewhere between {b} and {c}"),
    ),
    Relation.FACE: (
        Wording("plain", "facing {b}"),
        Wording("turned", "turned towards {b}"),
        Wording("held_out_looking", "with its front towards {b}"),
    ),
    Relation.BACK: (
        Wording("plain", "facing away from {b}"),
        Wording("turned", "turned away from {b}"),
        Wording("held_out_back", "with its back to {b}"),
    ),
    Relation.TALL: (
        Wording("plain", "taller than {b}"),
        Wording("held_out_height", "of greater height than {b}"),
    ),
    Relation.SHORT: (
        Wording("plain", "shorter than {b}"),
        Wording("held_out_height", "of less height than {b}"),
    ),
    Relation.BIG: (
        Wording("plain", "bigger than {b}"),
        Wording("larger", "larger than {b}"),
        Wording("held_out_size", "of greater size than {b}"),
    ),
    Relation.SMALL: (
        Wording("plain", "smaller than {b}"),
        Wording("held_out_size", "of less size than {b}"),
    ),
    Relation.WIDE: (
        Wording("plain", "wider than {b}"),
        Wording("held_out_width", "of greater width than {b}"),
    ),
    Relation.THIN: (
        Wording("plain", "narrower than {b}"),
        Wording("thinner", "thinner than {b}"),
        Wording("held_out_width", "of less width than {b}"),
    ),
}
# In the picture's own frame higher and lower are told apart from above and below in space.
IN_PICTURE: dict[Relation, tuple[Wording, ...]] = {
    Relation.ABOVE: (
        Wording("image", "higher up in the image than {b}"),
        Wording("held_out_image", "nearer to the top edge of the picture than {b}"),
    ),
    Relation.BELOW: (
        Wording("image", "lower down in the image than {b}"),
        Wording("held_out_image", "nearer to the bottom edge of the picture than {b}"),
    ),
}
# What is added where the directions are those of the anchor itself.
FRAMES: dict[Frame, tuple[Wording, ...]] = {
    Frame.OBJECT: (
        Wording("own", "from its own perspective"),
        Wording("object", "from the perspective of {b}"),
        Wording("held_out_faces", "going by the way {b} faces"),
    ),
}

STATEMENTS = (
    Wording("is", "Is {a} {r}?"),
    Wording("is_picture", "In this picture, is {a} {r}?"),
    Wording("true", "Is it true that {a} is {r}?"),
    Wording("look", "Looking at the scene, is {a} {r}?"),
    Wording("say", "Would you say that {a} is {r}?"),
    Wording("held_out_correct", "Is it right to say that {a} is {r}?"),
    Wording("held_out_tell", "As far as you can tell, is {a} {r}?"),
)
DENIALS = (
    Wording("not_true", "Is it true that {a} is not {r}?"),
    Wording("false", "Is it false that {a} is {r}?"),
    Wording("held_out_wrong", "Would it be wrong to say that {a} is {r}?"),
)

# Distances compared, to the camera or to a third thing.
NEARER = (
    Wording("closer", "Is {a} closer to {c} than {b}?"),
    Wording("nearer", "Is {a} nearer to {c} than {b} is?"),
    Wording("held_out_less", "Is the distance from {a} to {c} less than that from {b}?"),
)
FARTHER = (
    Wording("farther", "Is {a} farther from {c} than {b}?"),
    Wording("away", "Is {a} farther away from {c} than {b} is?"),
    Wording("held_out_more", "Is the distance from {a} to {c} more than that from {b}?"),
)

EXISTENCE = (
    Wording("is_there", "Is there {a}?"),
    Wording("is_there_picture", "Is there {a} in the picture?"),
    Wording("see", "Can you see {a}?"),
    Wording("image", "Does the image show {a}?"),
    Wording("held_out_contain", "Does this scene contain {a}?"),
    Wording("held_out_visible", "Is {a} anywhere in view?"),
)
ABSENCE = (
    Wording("no_such", "Is it true that there is not {a} in the picture?"),
    Wording("lack", "Is the picture without {a}?"),
    Wording("held_out_missing", "Does this scene lack {a}?"),
)
