# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from roborefer_vlm.exceptions import ConfigurationError, QueryError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.verification.training import gradient_norm, verify_training


def test_losses_gradients_and_steps_are_those_of_the_original(goldens, golden_name):
    if not (goldens / "expected" / golden_name / "train.json").is_file():
        pytest.skip(f"{golden_name} has no training records: the original refuses its mode")

    comparisons = list(verify_training(goldens, golden_name))

    assert [str(one) for one in comparisons if not one.passed] == []
    kinds = {one.where.split("/", 2)[1] for one in comparisons}
    assert kinds == {"rgbd", "rgb", "mixed", "single", "align", "sft"}
    assert any(one.where.endswith("labels") for one in comparisons)


@pytest.fixture
def learner(tiny):
    return load_checkpoint(tiny / "checkpoints" / "dyn3x3", dtype=torch.float32)


def labels_of(requests, *, last: int):
    labels = [torch.full_like(one.input_ids, -100) for one in requests]
    for label, one in zip(labels, requests, strict=True):
        label[-last:] = one.input_ids[-last:]
    return labels


def test_batch_loss_is_the_token_mean_over_its_rows(learner, requests):
    labels = labels_of(requests, last=3)

    with torch.no_grad():
        together = learner.loss(requests, labels)
        alone = [learner.loss([r], [label]) for r, label in zip(requests, labels, strict=True)]

    assert together.item() == pytest.approx(sum(alone).item() / len(alone), rel=1e-5)


def test_parts_of_a_step_add_up_to_the_loss_of_the_step(learner, requests):
    labels = labels_of(requests, last=2)
    items = 2 * len(requests)

    with torch.no_grad():
        whole = learner.loss(requests, labels)
        halves = [
            learner.loss(requests[part], labels[part], num_items=items)
            for part in (slice(0, 2), slice(2, None))
        ]

    assert sum(halves).item() == pytest.approx(whole.item(), rel=1e-5)


def test_recomputed_layers_give_the_same_gradients(learner, requests):
    labels = labels_of(requests, last=3)
    learner.train_only(["llm", "vision_tower", "mm_projector", "depth_tower", "depth_projector"])
    learner.loss(requests, labels).backward()
    plain = {name: p.grad.clone() for name, p in learner.named_parameters() if p.grad is not None}
    learner.zero_grad(set_to_none=True)

    learner.checkpoint_gradients()
    learner.loss(requests, labels).backward()

    for name, parameter in learner.named_parameters():
        if name in plain:
            torch.testing.assert_close(parameter.grad, plain[name], rtol=1e-5, atol=1e-6)


def test_writing_in_the_middle_of_training_is_writing(learner, requests):
    expected = learner.generate(requests[:2], max_new_tokens=6)
    learner.train_only(["llm"])
    learner.checkpoint_gradients()

    written = learner.generate(requests[:2], max_new_tokens=6)

    assert [one.ids for one in written] == [one.ids for one in expected]
    assert learner.llm.training


def test_alignment_moves_the_depth_projector_alone(learner, requests):
    learner.train_only(["depth_projector"])

    learner.loss(requests[2:3], labels_of(requests[2:3], last=3)).backward()

    assert gradient_norm(learner.depth_projector) > 0
    moved = {name.split(".")[0] for name, p in learner.named_parameters() if p.grad is not None}
    assert moved == {"depth_projector"}


def test_unknown_part_to_train_is_named(learner):
    with pytest.raises(ConfigurationError, match="lora"):
        learner.train_only(["lora"])


def test_batch_without_labels_is_refused(learner, requests):
    labels = [torch.full_like(one.input_ids, -100) for one in requests]

    with pytest.raises(QueryError, match="no token is supervised"):
        learner.loss(requests, labels)


def test_step_without_items_is_refused(learner, requests):
    with pytest.raises(QueryError, match="num_items is 0"):
        learner.loss(requests[:1], labels_of(requests[:1], last=2), num_items=0)


def test_labels_of_another_length_are_refused(learner, requests):
    with pytest.raises(QueryError, match="labels for"):
        learner.loss(requests[:1], [torch.zeros(3, dtype=torch.long)])
