# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/relations.md, made from the docstrings and the tables that the code runs on.

python -m roborefer_vlm.scenes.relations.page vlm/docs/relations.md
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations.configuration import configuration_of
from roborefer_vlm.scenes.relations.measures import measure
from roborefer_vlm.scenes.relations.names import Relation
from roborefer_vlm.scenes.relations.registry import RULES, Rule
from roborefer_vlm.scenes.relations.surroundings import fit_beside, fit_on_top, spatial_context
from roborefer_vlm.scenes.relations.thresholds import THRESHOLDS, Threshold

R, F = Relation, Frame

# The headings of RefSpatial's appendix (arXiv 2506.04308, figures 36 to 39), and who answers.
REFSPATIAL: dict[str, tuple[Relation, Frame]] = {
    "left": (R.LEFT, F.VIEWER),
    "right": (R.RIGHT, F.VIEWER),
    "close": (R.NEAR, F.VIEWER),
    "far": (R.FAR, F.VIEWER),
    "depth": (R.DEPTH, F.VIEWER),
    "above (world)": (R.ABOVE, F.WORLD),
    "below (world)": (R.BELOW, F.WORLD),
    "above (image)": (R.ABOVE, F.IMAGE),
    "below (image)": (R.BELOW, F.IMAGE),
    "tall": (R.TALL, F.WORLD),
    "short": (R.SHORT, F.WORLD),
    "between": (R.BETWEEN, F.WORLD),
    "rotation horizontal": (R.ROTATION_HORIZONTAL, F.VIEWER),
    "rotation vertical": (R.ROTATION_VERTICAL, F.VIEWER),
    "free space": (R.FREE_SPACE, F.WORLD),
    "corner": (R.CORNER, F.WORLD),
    "edge": (R.EDGE, F.WORLD),
    "angle": (R.ANGLE, F.WORLD),
    "distance": (R.DISTANCE, F.WORLD),
    "front": (R.FRONT, F.VIEWER),
    "behind": (R.BEHIND, F.VIEWER),
    "inside": (R.INSIDE, F.WORLD),
    "outside": (R.OUTSIDE, F.WORLD),
    "big": (R.BIG, F.WORLD),
    "small": (R.SMALL, F.WORLD),
    "face": (R.FACE, F.WORLD),
    "back": (R.BACK, F.WORLD),
    "wide": (R.WIDE, F.WORLD),
    "thin": (R.THIN, F.WORLD),
    "touch": (R.TOUCH, F.WORLD),
    "far-from": (R.FAR_FROM, F.WORLD),
}

_FRAMES = {
    Frame.VIEWER: "The picture's axes laid flat on the ground. Left and right go along the"
    " columns; in front of a thing is nearer to the viewer than it, behind it is farther. A"
    " camera that looks straight down takes the rows for near and far.",
    Frame.WORLD: "The scene's axes wherever the camera is, as for somebody who looks along x:"
    " left is +y, in front is -x, behind is +x.",
    Frame.OBJECT: "The anchor's own. In front is where its face looks, left is the left hand of"
    " somebody who sits in it and looks out: for a viewer who faces it, that is the right.",
    Frame.IMAGE: "The flat picture, in pixels; it has no front and no behind.",
}

_HEAD = """\
<!-- SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors -->
<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by roborefer_vlm.scenes.relations.page from the code; do not edit. -->
# Spatial relations

`relation_scores` tells how well each of N places is in a relation to its anchors: 1 is a perfect
example, 0.5 the border, 0 out of question. `relation_values` returns the metres or radians behind
it, `measure` what superlatives and ordinals count. Distances between things are those of their
surfaces. An anchor is in no relation to itself.
"""


def render() -> str:
    """Return the page as Markdown."""
    return "\n".join(
        [
            _HEAD,
            "## Frames\n",
            _table(("frame", "meaning"), [(f"`{f}`", text) for f, text in _FRAMES.items()]),
            "Gravity decides about above, below, on and under in every frame but the picture.\n",
            "## Relations\n",
            _table(
                ("relation", "anchors", "frames", "definition", "value", "thresholds", "source"),
                [_relation_row(relation, rule) for relation, rule in RULES.items()],
            ),
            "## Thresholds\n",
            _table(
                ("name", "value", "reason"),
                [(f"`{name}`", _number(t), t.reason) for name, t in THRESHOLDS.items()],
            ),
            "## RefSpatial's 31 relations\n",
            _table(
                ("heading", "relation", "frame"),
                [(name, f"`{r}`", f"`{f}`") for name, (r, f) in REFSPATIAL.items()],
            ),
            "## Ordering: `measure`\n",
            _body(measure),
            "## RoboSpatial's definitions\n",
            *(
                f"### `{function.__name__}`\n\n{_body(function)}"
                for function in (configuration_of, spatial_context, fit_beside, fit_on_top)
            ),
        ]
    )


def _relation_row(relation: Relation, rule: Rule) -> tuple[str, ...]:
    anchors = str(rule.fewest)
    if rule.most != rule.fewest:
        anchors += " or more" if rule.most is None else f" to {rule.most}"
    unit = ""
    if rule.value is not None:
        unit = "rad" if rule.needs == "angle_rad" else "m"
    return (
        f"`{relation}`",
        anchors,
        ", ".join(rule.frames) or "any",
        " ".join(_doc(rule.score).split()),
        unit,
        ", ".join(f"`{name}`" for name in rule.thresholds),
        rule.source,
    )


def _number(threshold: Threshold) -> str:
    if threshold.unit == "rad":
        return f"{math.degrees(threshold.value):g}°"
    return f"{threshold.value:g}" + ("" if threshold.unit == "1" else f" {threshold.unit}")


def _body(function: Callable[..., object]) -> str:
    """Return a docstring up to its sections."""
    return re.split(r"\n(?:Args|Returns|Raises):", _doc(function))[0].rstrip() + "\n"


def _doc(function: Callable[..., object]) -> str:
    return inspect.getdoc(function) or ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Write the page to the path given on the command line."""
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
