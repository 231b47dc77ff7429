# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the README promises is what the code does."""

import re
from pathlib import Path

import pytest
import yaml
from roborefer_common.core.parameters import readme_table
from roborefer_operator.core import parameters
from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.steps import Context, Control, Correction, Plan
from roborefer_operator.core.language.words import VERBS, Pattern
from roborefer_operator.nodes import mock_robot

PACKAGE = Path(__file__).parents[1]
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
KNOWN = Context(False, "the mug", "on the tray")


def rows(header):
    """Return the cells of the table that begins with this header."""
    lines = README[README.index(header) :].splitlines()[2:]
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


EXAMPLES = rows("| you say | steps |")


def test_the_verbs_of_the_readme_are_those_of_the_grammar():
    listed = [set(cell[0].split(", ")) for cell in rows("| verbs | behind them | become |")]

    assert listed == [{" ".join(w) for w, p in VERBS if p is pattern} for pattern in Pattern]


@pytest.mark.parametrize(("sentence", "steps"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_every_example_becomes_the_steps_that_stand_beside_it(sentence, steps):
    names = {"REFER": "find", "GO_TO": "go to", "HAND_OVER": "hand over"}

    found = read(sentence, Context())

    assert isinstance(found, Plan)
    told = [
        f"{names.get(s.verb.name, s.verb.name.lower())} `{s.phrase}`".replace(" ``", "")
        for s in found.steps
    ]
    assert ", ".join(told) == steps


def test_words_about_a_task_are_what_the_table_says():
    said = [re.split(r"[,;] (?!the|behind)", row[0]) for row in rows("| you say | what happens |")]
    stop, go_on, undo, again, targets, places = said

    assert all(is_stop(words) for words in stop)
    assert {read(words, KNOWN) for words in go_on} == {Control.CONTINUE}
    assert {read(words, KNOWN) for words in undo} == {Control.UNDO}
    assert {read(words, KNOWN) for words in again} == {Control.AGAIN}
    for words in (*targets, *places):
        found = read(words, KNOWN)
        assert isinstance(found, Correction)
        assert bool(found.place) == (words in places)


def test_the_sentence_with_two_readings_has_two():
    found = read("put the mug next to the plate on the tray", KNOWN)

    assert len(found.others) == 1


def test_the_tables_of_parameters_are_those_of_the_nodes():
    assert readme_table(parameters.TABLE) in README, (
        "replace the table by: python3 -m roborefer_operator.core.parameters table"
    )
    assert readme_table(mock_robot.TABLE) in README


def test_the_file_of_config_is_that_of_the_table():
    text = (PACKAGE / "config" / "executive.yaml").read_text(encoding="utf-8")

    assert text == parameters.sample_file(), (
        "python3 -m roborefer_operator.core.parameters > config/executive.yaml"
    )
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert set(values) == {row.name for row in parameters.TABLE}
    parameters.policy_of(values)
    parameters.limits_of(values)
    assert parameters.recorder_of(values).records is None


def test_every_row_says_what_it_is_and_has_a_default_within_its_range():
    for row in (*parameters.TABLE, *mock_robot.TABLE):
        assert row.description.endswith("."), row.name
        if row.low is not None:
            assert row.low <= row.default <= row.high, row.name


def test_every_service_of_the_readme_is_served():
    source = (PACKAGE / "roborefer_operator" / "nodes" / "executive.py").read_text()

    for name in re.findall(r"\| service `(\w+)`", README):
        assert f'"{name}"' in source, name
