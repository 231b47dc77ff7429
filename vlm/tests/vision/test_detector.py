# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections by name meet what depth separates; the path through transformers really runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rgbd_scenes import Body, render
from roborefer_vlm.backends.scene_graph.detector import (
    Detection,
    TransformersDetector,
    _answered,
)
from roborefer_vlm.backends.scene_graph.naming_boxes import name_segments
from roborefer_vlm.backends.scene_graph.perceive import build_scene
from roborefer_vlm.exceptions import CheckpointError, ConfigurationError

BODIES = [
    Body("red box", (200, 30, 30), (0.05, 0.25, 0), (0.12, 0.08, 0.15), yaw=0.5),
    Body("green can", (40, 140, 50), (0.05, -0.2, 0), (0.07, 0.07, 0.11), "cylinder"),
]


def _box(mask, margin=2):
    v, u = np.nonzero(mask)
    return (u.min() - margin, v.min() - margin, u.max() + margin, v.max() + margin)


class FakeDetector:
    """Answers to phrases that are names of bodies."""

    def __init__(self, seen):
        self.seen, self.asked = seen, []

    def detect(self, image, phrases):
        self.asked.append(tuple(phrases))
        names = [b.name for b in self.seen.bodies]
        return [Detection(p, 0.9, _box(self.seen.mask(p))) for p in phrases if p in names]


def test_boxes_name_the_segments_and_the_others_stay_nameless():
    seen = render(BODIES)
    detector = FakeDetector(seen)

    scene = build_scene(seen.blind(), detector=detector, phrases=("green can", "unicorn"))

    assert detector.asked == [("green can", "unicorn")]
    assert sorted(o.name for o in scene.objects) == ["", "green can"]
    can = next(o for o in scene.objects if o.name)
    truth = seen.mask("green can")
    assert (can.mask & truth).sum() / (can.mask | truth).sum() > 0.8


def test_given_things_are_not_looked_for():
    seen = render(BODIES)
    detector = FakeDetector(seen)

    build_scene(seen.query, detector=detector, phrases=("green can",))

    assert detector.asked == []


def _square(top, left, size, shape=(40, 60)):
    mask = np.zeros(shape, bool)
    mask[top : top + size, left : left + size] = True
    return mask


def test_two_phrases_for_one_thing_become_a_name_and_an_attribute():
    segment = _square(10, 10, 12)
    found = [
        Detection("mug", 0.9, _box(segment)),
        Detection("red cup", 0.6, _box(segment, 1)),
    ]

    things = name_segments(found, [segment], np.zeros_like(segment))

    assert [(t.name, t.attributes) for t in things] == [("mug", ("red cup",))]


def test_a_box_cuts_its_thing_out_of_a_segment_that_joins_two():
    left, right = _square(10, 10, 10), _square(10, 20, 10)

    things = name_segments([Detection("cup", 0.9, _box(left, 0))], [left | right], ~(left | right))

    assert np.array_equal(things[0].mask, left)


def test_a_box_without_any_segment_is_what_is_not_bare_in_it():
    flat = _square(10, 10, 10)

    things = name_segments([Detection("card", 0.9, _box(flat))], [], ~flat)

    assert np.array_equal(things[0].mask, flat)


def test_masks_of_the_detector_are_taken_as_they_are():
    mask = _square(5, 5, 8)

    things = name_segments([Detection("cup", 0.9, _box(mask), mask)], [], np.zeros_like(mask))

    assert np.array_equal(things[0].mask, mask)


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (1e4, 1e4, 2e4, 2e4)])
def test_boxes_outside_the_picture_are_dropped(box):
    nothing = np.zeros((40, 60), bool)

    assert name_segments([Detection("cup", 0.9, box)], [], nothing) == []


@pytest.fixture(scope="module")
def owl(tmp_path_factory):
    """A tiny OWLv2 of random weights in the published layout."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("owl")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = [*letters, *(c + "</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    pictures = transformers.Owlv2ImageProcessor(size={"height": 64, "width": 64})
    transformers.Owlv2Processor(pictures, tokenizer).save_pretrained(folder)
    width = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    config = transformers.Owlv2Config(
        text_config={
            **width,
            "num_attention_heads": 2,
            "vocab_size": len(tokens),
            "max_position_embeddings": 16,
        },
        vision_config={**width, "num_attention_heads": 2, "image_size": 64, "patch_size": 16},
        projection_dim=32,
    )
    transformers.Owlv2ForObjectDetection(config).eval().save_pretrained(folder)
    return folder


def test_a_checkpoint_of_transformers_answers_in_pixels_of_the_picture(owl):
    detector = TransformersDetector(str(owl), threshold=0.0)
    seen = render(BODIES)

    found = detector.detect(seen.query.image, ["red box", "can", "<|endoftext|> x"])

    assert found
    assert {d.label for d in found} <= {"red box", "can", "<|endoftext|> x"}
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert np.isfinite([d.box for d in found]).all()
    build_scene(seen.blind(), detector=detector, phrases=["red box"])


@pytest.mark.parametrize(
    ("label", "text"),
    [("red mug", "red mug"), ("mug", "red mug"), ("box.", "box"), ("", None), ("cat", None)],
)
def test_a_label_that_is_a_piece_of_a_phrase_answers_it(label, text):
    assert _answered(label, ["red mug", "box"]) == text


def test_no_phrases_find_nothing(owl):
    detector = TransformersDetector(str(owl))

    assert detector.detect(np.zeros((20, 30, 3), np.uint8), ["", "  "]) == []


def test_a_folder_that_is_no_detector_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no zero-shot detector"):
        TransformersDetector(str(tmp_path))


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(ConfigurationError, match=r"threshold is 1\.5"):
        TransformersDetector("anything", threshold=1.5)
