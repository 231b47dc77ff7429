# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What counts as an answer, where it points, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from roborefer_vlm.exceptions import AnswerError, ConfigurationError, QueryError
from roborefer_vlm.parsing.marks import LONGEST_ANSWER, MOST_POINTS
from roborefer_vlm.parsing.points import parse_points
from roborefer_vlm.types import Pixel

SIZE = (120, 80)


def pixels(text: str, family: str = "roborefer", size: tuple[int, int] = SIZE) -> list[Pixel]:
    return [Pixel(round(p.u, 6), round(p.v, 6)) for p in parse_points(text, *size, family).points]


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [
        ("roborefer", "[(0.5, 0.5)]", [(59.5, 39.5)]),
        ("roborefer", "[(0.25,0.75), (0.9, 0.1)]", [(29.5, 59.5), (107.5, 7.5)]),
        ("roborefer", "It is at ( 0.5,\n0.25 ).", [(59.5, 19.5)]),
        ("roborefer", "[(0.2, 0.2)] and [(0.4, 0.4)]", [(23.5, 15.5), (47.5, 31.5)]),
        ("roborefer", "[(0.1, 0.1, 0.3, 0.2)]", [(23.5, 11.5)]),
        ("robotracer", "[(500,250,0.9), (100, 1000, 1.25)]", [(59.5, 19.5), (11.5, 79.0)]),
        ("molmo", '<point x="50" y="25.0" alt="mug">mug</point>', [(59.5, 19.5)]),
        ("molmo", "A: <points x1='10' y1='20' x2='90.5' y2='80'/>", [(11.5, 15.5), (108.1, 63.5)]),
        ("gemini", '```json\n[{"point": [500, 250], "label": "mug"}]\n```', [(29.5, 39.5)]),
        ("gemini", '{"point": [500, 250]}', [(29.5, 39.5)]),
        ("gemini", '[{"box_2d": [0, 500, 500, 1000]}]', [(89.5, 19.5)]),
        ("qwen3-vl", '[{"point_2d": [500, 250], "label": "mug"}]', [(59.5, 19.5)]),
        ("qwen3-vl", "```json\n[[500, 250], [0, 0]]\n```", [(59.5, 19.5), (-0.5, -0.5)]),
        ("qwen3-vl", "It is [500, 250].", [(59.5, 19.5)]),
        ("qwen3-vl", '{"points": [{"x": 500, "y": 250}]}', [(59.5, 19.5)]),
    ],
)  # fmt: skip
def test_each_family_is_read_in_its_own_convention(
    family: str, text: str, expected: list[tuple[float, float]]
) -> None:
    assert pixels(text, family) == [Pixel(*pair) for pair in expected]


def test_pixels_of_a_resized_picture_are_scaled_back() -> None:
    # 120 x 80 is seen as 112 x 84, the nearest multiples of 28.
    assert pixels('[{"point_2d": [56, 42]}]', "qwen2.5-vl") == [Pixel(59.5, 39.5)]


def test_labels_and_distances_are_kept() -> None:
    named = parse_points('<points x1="1" y1="2" x2="3" y2="4" alt="a cup"/>', *SIZE, "molmo")
    traced = parse_points("[(500,250,0.9)]", *SIZE, "robotracer")

    assert named.labels == ("a cup", "a cup")
    assert traced.depths_m == (0.9,)


def test_far_border_is_the_last_pixel_and_near_border_stays_inside() -> None:
    assert pixels("[(1.0, 1)]") == [Pixel(119, 79)]
    assert pixels("[(0, 0)]") == [Pixel(-0.5, -0.5)]
    assert all(p.inside(*SIZE) for p in pixels("[(1.0, 0.0), (0, 1), (0.99999999, 0.5)]"))


@pytest.mark.parametrize(
    "text",
    ["yes", "There are 3 mugs (2 red), see (1).", "The [red] mug (left).", "３ mugs", "(x, y)"],
)
def test_words_are_an_answer_without_points(text: str) -> None:
    parsed = parse_points(text, *SIZE)

    assert parsed.points == ()
    assert not parsed.nothing
    assert parsed.answer_text == text


@pytest.mark.parametrize(
    ("family", "text"), [("roborefer", "[ ]"), ("qwen3-vl", "```json\n[]\n```")]
)
def test_empty_list_says_that_nothing_fits(family: str, text: str) -> None:
    parsed = parse_points(text, *SIZE, family)

    assert parsed.nothing
    assert parsed.points == ()


@pytest.mark.parametrize(
    "text",
    [
        "", "  \n", "[(12, 30)]", "[(1.001, 0.5)]", "[(-0.1, 0.5)]", "[(nan, 0.5)]",
        "[(inf, inf)]", "(0.5, NaN)", "[(.5, .5)]", "[(5e-1, 0.5)]", "[(0.5., 0.5)]", "[0.5, 0.5]",
        "[[0.5, 0.5]]",
        "[(0.5, 0.5)", "[(0.5, 0.5", "(0.5, 0.5", "(0.5,", "(0.5, 0.5]", "(0.5, 0.5)]",
        "[(0.5, 0.5),]", "[(0.5, 0.5) (0.4, 0.4)]", "[(0.5, 0.5), ...]", "[(x1, y1)]", "[()]",
        "((0.5, 0.5)", "[((0.5, 0.5))]", "[(0.5)]", "[(0.1, 0.2, 0.3)]", "(1, 2, 3, 4, 5)",
        "[(0.3, 0.2, 0.1, 0.1)]", "[(٠.٥, 0.5)]", "[(０.５, 0.5)]", "[(0.5, 0.5٠)]", "[(0x1, 0)]",
        "[(1_0, 0)]", "[(0.5 , 0.5), (__import__('os'), 1)]", "[(0.5, 0." + "5" * 60 + ")]",
        "[(+-0.5, 0.5)]", "[(0.5, 0.5); (0.4, 0.4)]", "[('0.5', '0.5')]",
    ],
)  # fmt: skip
def test_what_follows_no_grammar_or_leaves_the_picture_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse_points(text, *SIZE)


@pytest.mark.parametrize(
    "text",
    [
        '<point x="50" y="25">mug', '<point x="50" y="25"', '<point x="50">a</point>', "<point/>",
        '<point x="50" y="101"/>', '<point x="50" y="1e1"/>', '<point x="5" x="6" y="5"/>',
        '<points x1="5" y1="5" x3="6" y3="6"/>', '<point x="5" y="5"><b>a</b></point>', "</point>",
        '<point x="5" y="5">a</points>', '<point x="5" y="&#53;"/>', '<point x="5" y="5 5"/>',
        '<points x1="5" y1="5" onclick="6"/>',
    ],
)  # fmt: skip
def test_broken_tags_are_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse_points(text, *SIZE, "molmo")


@pytest.mark.parametrize(
    "text",
    [
        "[500, 250", '{"point_2d": [500]}', '{"point_2d": [500, "250"]}', '{"point_2d": null}',
        '{"point_2d": [true, 1]}', '{"point_2d": [NaN, 1]}', '{"point_2d": [1e2, 1]}', "```[1, 2]",
        '{"point_2d": [1, 2], "point": [3, 4]}', '{"point_2d": [1, 2], "point_2d": [3, 4]}',
        "[500, 250] or [1, 2]", "```json\n[1, 2]\n``` ```json\n[1, 2]\n```", '[{"label": "mug"}]',
        '{"point_2d": [1, 2], "label": 5}', "[1, 2, 3]", '[{"box_2d": [5, 5, 1, 1]}]', "{}",
        '{"points": 5}', '[{"point_2d": [1001, 2]}]', "[" * 30_000,
        '{"a":' * 9000, "[[[[[[[[[1]]]]]]]]]", "[" + "1" * 5000 + ", 1]", '["__import__"]',
    ],
)  # fmt: skip
def test_broken_json_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse_points(text, *SIZE, "qwen3-vl")


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("roborefer", "[" + ", ".join(["(0.5, 0.5)"] * (MOST_POINTS + 1)) + "]"),
        ("roborefer", " (0.5, 0.5)" * 5_000),
        ("roborefer", "word " * LONGEST_ANSWER),
        ("molmo", '<point x="5" y="5"/>' * (MOST_POINTS + 1)),
        ("molmo", "<points " + " ".join(f'x{i}="1" y{i}="1"' for i in range(1, 900)) + "/>"),
        ("qwen3-vl", "[" + ", ".join(["[1, 2]"] * 5_000) + "]"),
    ],
    ids=lambda value: value[:20],
)
def test_more_than_an_answer_can_hold_is_refused(family: str, text: str) -> None:
    with pytest.raises(AnswerError, match=r"allowed|more than"):
        parse_points(text, *SIZE, family)


def test_message_names_the_point_and_the_range() -> None:
    with pytest.raises(AnswerError, match=r"\(12, 30\).*0 to 1"):
        parse_points("[(12, 30)]", *SIZE)


def test_unknown_family_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'gpt'.*roborefer.*gemini"):
        parse_points("[(0.5, 0.5)]", *SIZE, "gpt")


def test_picture_without_pixels_is_refused() -> None:
    with pytest.raises(QueryError, match="0 x 80"):
        parse_points("[(0.5, 0.5)]", 0, 80)


def test_parsing_needs_no_heavy_library() -> None:
    code = (
        "import sys, roborefer_vlm.parsing.points, roborefer_vlm.parsing.reference;"
        "heavy = {'torch', 'transformers', 'fastapi', 'cv2'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
