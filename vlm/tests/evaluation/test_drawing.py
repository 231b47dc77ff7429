# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from roborefer_vlm.drawing import (
    CANDIDATE,
    POINT,
    STEP,
    TRUTH,
    annotate,
    draw_answer,
    encode_jpeg,
    encode_png,
    one_line,
)
from roborefer_vlm.picture_files import Source, read_rgb
from roborefer_vlm.types import (
    Answer,
    LatencySplit,
    Outcome,
    PerceptionType,
    Pixel,
    ReasoningStep,
    ReferredPoint,
)


def view(width: int = 640, height: int = 480, shade: int = 128) -> np.ndarray:
    return np.full((height, width, 3), shade, np.uint8)


def pointing(*places: tuple[float, float], label: str = "") -> Answer:
    points = tuple(ReferredPoint(Pixel(u, v), label=label) for u, v in places)
    return Answer(Outcome.OK, points=points)


def changed(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.argwhere((image != drawn).any(axis=2))


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("place", [(320, 240), (0, 0), (639, 479), (11.4, 470.6)])
def test_marker_has_its_colour_at_the_very_pixel_on_any_ground(shade, place):
    drawn = draw_answer(view(shade=shade), pointing(place))

    u, v = round(place[0]), round(place[1])
    assert tuple(drawn[v, u]) == POINT


@pytest.mark.parametrize("shade", [0, 255])
def test_ring_has_a_dark_and_a_light_border(shade):
    drawn = draw_answer(view(shade=shade), pointing((320, 240)))

    ray = drawn[240, 320:345].astype(int).sum(axis=1)
    assert ray.min() < 100
    assert ray.max() > 700


def test_pixels_away_from_the_marker_stay_as_they_were():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)

    rows = changed(image, draw_answer(image, pointing((320, 240), label="mug")))

    assert len(rows) > 100
    assert (np.abs(rows - (240, 320)).max(axis=0) < (60, 90)).all()


def test_input_is_not_written_to():
    image = view()
    before = image.copy()

    draw_answer(image, pointing((5, 5)))
    annotate(image, "the mug", pointing((5, 5)))

    assert np.array_equal(image, before)


def test_equal_input_gives_equal_pixels():
    answer = pointing((320, 240), (100, 50), label="mug")

    assert np.array_equal(annotate(view(), "mug", answer), annotate(view(), "mug", answer))


@pytest.mark.parametrize("place", [(-5, 240), (640, 240), (320, 1e6), (float("nan"), 3)])
def test_point_outside_the_picture_draws_nothing(place):
    image = view()

    assert np.array_equal(draw_answer(image, pointing(place)), image)


def test_candidates_steps_and_truth_have_colours_of_their_own():
    answer = Answer(
        Outcome.AMBIGUOUS,
        candidates=(ReferredPoint(Pixel(100, 100)), ReferredPoint(Pixel(500, 100))),
        reasoning=(
            ReasoningStep("the bowl", PerceptionType.POSITION, "bowl", Pixel(300, 400)),
            ReasoningStep("no place"),
        ),
    )
    truth = np.zeros((480, 640), bool)
    truth[200:300, 200:300] = True

    drawn = draw_answer(view(), answer, truth=truth)

    assert tuple(drawn[100, 100]) == CANDIDATE
    assert tuple(drawn[100, 500]) == CANDIDATE
    assert tuple(drawn[400, 300]) == STEP
    assert tuple(drawn[250, 200]) == TRUTH
    # The inside of the right area stays visible.
    assert tuple(drawn[250, 250]) == (128, 128, 128)


def test_thumbnail_keeps_the_ratio_and_moves_the_marker_along():
    drawn = draw_answer(view(), pointing((320, 240)), longest_side=160)

    assert drawn.shape == (120, 160, 3)
    assert tuple(drawn[60, 80]) == POINT


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 200), (16, 12), (64, 48), (200, 3)])
def test_small_pictures_are_drawn_on_and_enlarged_for_the_legend(width, height):
    answer = pointing((width / 2 - 0.5, height / 2 - 0.5), label="mug")

    assert draw_answer(view(width, height), answer).shape == (height, width, 3)
    drawn = annotate(view(width, height), "the mug", answer)
    factor = drawn.shape[1] // width
    assert drawn.shape[1] >= 360
    assert drawn.shape[0] > factor * height


def test_marker_of_an_enlarged_picture_lies_on_the_same_place():
    drawn = annotate(view(64, 48), "the mug", pointing((20, 30)))

    # Enlarged six times: pixel 20 covers 120 to 125, its centre is 122.5.
    assert tuple(drawn[182, 122]) == POINT


def test_legend_says_more_when_there_is_more_to_say():
    short = annotate(view(), "the mug", pointing((5, 5)))
    answer = Answer(
        Outcome.OK,
        points=(ReferredPoint(Pixel(5, 5), 0.9, "mug", "the only mug"),),
        reasoning=tuple(ReasoningStep(f"step {n} " + "word " * 40) for n in range(30)),
        engine="scene_graph",
        latency=LatencySplit(total_s=0.1),
    )
    long = annotate(view(), "the mug", answer)

    assert short.shape[1] == long.shape[1] == 640
    assert 480 < short.shape[0] < long.shape[0] < 1400


@pytest.mark.parametrize(
    "text", ["", "\x00\x1b[31m\n\n", "a" * 5000, "мягкая 杯子 🍵 \u202e", "word " * 3000]
)
def test_hostile_words_are_drawn_in_bounded_space(text):
    answer = Answer(
        Outcome.NOT_UNDERSTOOD,
        points=(ReferredPoint(Pixel(5, 5), 1.0, text, text),),
        reasoning=(ReasoningStep(text),) * 100,
        text=text,
        engine=text,
    )

    drawn = annotate(view(400, 300), text or "x", answer)

    assert drawn.shape[1] == 400
    assert drawn.shape[0] < 3000


def test_one_line_drops_control_characters_and_cuts():
    assert one_line("a\nb\x1b[0m\tc") == "a b [0m c"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


def test_encoded_pictures_are_rgb(tmp_path):
    image = view(40, 30)
    image[:, :20] = (255, 0, 0)

    for data, tolerance in ((encode_png(image), 0), (encode_jpeg(image, 95), 12)):
        back = read_rgb(Source("x", data=data)).astype(int)
        assert np.abs(back[15, 5] - (255, 0, 0)).max() <= tolerance
