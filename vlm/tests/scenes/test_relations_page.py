# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The page about relations is made from the code, complete, and current."""

from pathlib import Path

import pytest
from roborefer_vlm.scenes.frames import Frame
from roborefer_vlm.scenes.relations import Relation
from roborefer_vlm.scenes.relations.page import REFSPATIAL, render
from roborefer_vlm.scenes.relations.registry import RULES
from roborefer_vlm.scenes.relations.thresholds import THRESHOLDS

PAGE = Path(__file__).parents[2] / "docs" / "relations.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "run: python -m roborefer_vlm.scenes.relations.page vlm/docs/relations.md"
    )


def test_every_relation_has_a_rule_with_a_definition_and_a_source():
    assert set(RULES) == set(Relation)
    for rule in RULES.values():
        assert rule.score.__doc__
        assert rule.source
        assert set(rule.thresholds) <= set(THRESHOLDS)
        assert rule.takes_distance or rule.needs != "distance_m"


def test_all_31_relations_of_refspatial_are_answered():
    assert len(REFSPATIAL) == 31
    assert len(set(REFSPATIAL.values())) == 31


@pytest.mark.parametrize("heading", REFSPATIAL)
def test_each_heading_of_refspatial_names_a_frame_that_its_relation_has(heading):
    relation, frame = REFSPATIAL[heading]

    assert frame in (RULES[relation].frames or Frame)


def test_every_threshold_is_used_and_says_why():
    package = Path(__file__).parents[2] / "roborefer_vlm" / "scenes" / "relations"
    code = "".join(p.read_text() for p in package.glob("*.py") if p.name != "thresholds.py")
    for name, threshold in THRESHOLDS.items():
        assert f'"{name}"' in code
        assert threshold.reason.endswith(".")
        assert threshold.unit in ("m", "rad", "1")
