# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Wordings of yes/no questions about relations, comparisons and existence.

In statements and denials {r} is a relation with its anchors, in the words of
`roborefer_vlm.data.paraphrasing`.
"""

from __future__ import annotations

from roborefer_vlm.data.questions.asking import Wording

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
    Wording("is_there_picture", "In the picture, is there {a}?"),
    Wording("see", "Can you see {a}?"),
    Wording("image", "Does the image show {a}?"),
    Wording("held_out_contain", "Does this scene contain {a}?"),
    Wording("held_out_visible", "Anywhere in view, is there {a}?"),
)
ABSENCE = (
    Wording("no_such", "Is it true that in this picture there is not {a}?"),
    Wording("lack", "Is the picture without {a}?"),
    Wording("held_out_missing", "Does this scene lack {a}?"),
)
