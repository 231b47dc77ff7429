# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Group relative policy optimisation against arithmetic by hand and against plain PyTorch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from roborefer_vlm.exceptions import ConfigurationError, RecordError, TrainingError
from roborefer_vlm.model.checkpoint import load_checkpoint
from roborefer_vlm.model.network import RoboReferModel
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.training.grpo import (
    GrpoSettings,
    accumulate_gradients,
    advantages,
    answer_log_probs,
    answer_loss,
    constant_log_probs,
    frozen_copy,
)
from roborefer_vlm.training.rewards import Goal, Reward
from roborefer_vlm.training.rollouts import Attempt, Group, Task, TaskDataset, draw_groups
from roborefer_vlm.training.samples import SpatialDataset


@pytest.fixture
def network(golden: Path) -> RoboReferModel:
    return load_checkpoint(golden / "checkpoints" / "dyn3x3", dtype=torch.float32)


@pytest.fixture
def tasks(golden: Path, processor: Processor) -> list[Task]:
    """Return two questions: one about a picture with depth, one about a picture alone."""
    images = golden / "images"
    picture, depth = load_picture(images / "small.png"), load_depth(images / "small_depth.png")
    goal = Goal(picture.shape[1], picture.shape[0], (0.5, 0.5))
    return [
        Task("a.json", "rgbd", processor.prepare([picture], [depth], "Point to the cup."), goal),
        Task("a.json", "rgb", processor.prepare([picture], [], "Point to the free space."), goal),
    ]


def group_of(task: Task, answers: Sequence[Sequence[int]], totals: Sequence[float]) -> Group:
    attempts = tuple(
        Attempt(torch.tensor(ids), "", Reward(0, 0, 0, 0, total))
        for ids, total in zip(answers, totals, strict=True)
    )
    return Group(task, attempts, attempts[0])


def test_advantages_by_hand() -> None:
    # Mean 1, deviations -1, 0, 0, 1; their squares sum to 2, over G - 1 = 3 gives 0.6667, whose
    # root is 0.81650.
    expected = torch.tensor([-1.0, 0.0, 0.0, 1.0]) / (math.sqrt(2 / 3) + 1e-4)

    assert torch.allclose(advantages([0.0, 1.0, 1.0, 2.0]), expected)


def test_equal_rewards_give_no_advantage() -> None:
    assert advantages([1.3] * 8).tolist() == [0.0] * 8


def test_loss_of_one_answer_by_hand() -> None:
    settings = GrpoSettings(clip=0.2, kl=0.1)
    new = torch.tensor([math.log(0.5), math.log(0.3)], dtype=torch.float64)
    old = torch.tensor([math.log(0.4), math.log(0.2)], dtype=torch.float64)
    reference = torch.tensor([math.log(0.25), math.log(0.3)], dtype=torch.float64)

    loss, kl, clipped = answer_loss(new, old, reference, 2.0, settings)

    # Ratios 1.25 and 1.5, both clipped to 1.2, so 2 * 1.2 = 2.4 each.
    # k3 of the first: 0.25/0.5 - ln(0.25/0.5) - 1 = 0.5 + 0.693147 - 1 = 0.193147; second: 0.
    # Mean of 0.1 * 0.193147 - 2.4 and -2.4 is -2.4 + 0.00965736.
    assert float(loss) == pytest.approx(-2.4 + 0.1 * 0.1931471806 / 2)
    assert float(kl) == pytest.approx(0.1931471806 / 2)
    assert float(clipped) == 1.0


def test_bad_answer_is_clipped_only_when_it_has_become_rarer() -> None:
    settings = GrpoSettings(clip=0.2, kl=0.0)
    old = torch.zeros(2, dtype=torch.float64)
    new = torch.tensor([math.log(0.5), math.log(1.5)], dtype=torch.float64)

    loss, _, clipped = answer_loss(new, old, new, -1.0, settings)

    # min(0.5 * -1, 0.8 * -1) = -0.8 and min(1.5 * -1, 1.2 * -1) = -1.5; minus their mean.
    assert float(loss) == pytest.approx(1.15)
    assert float(clipped) == 0.5


def test_log_probabilities_are_those_of_plain_reading(
    network: RoboReferModel, tasks: list[Task]
) -> None:
    ids = [5, 7, 9]
    group = group_of(tasks[0], [ids, [3]], [0, 1])

    found = answer_log_probs(network, group, temperature=0.7)

    whole = replace(
        tasks[0].inputs, input_ids=torch.cat([tasks[0].inputs.input_ids, torch.tensor(ids)])
    )
    logits = network([whole])[0, -4:-1] / 0.7
    expected = logits.log_softmax(-1)[torch.arange(3), ids]
    assert torch.allclose(found[0], expected, atol=1e-5)
    assert found[1].shape == (1,)


def test_answers_may_hold_any_token(network: RoboReferModel, tasks: list[Task]) -> None:
    placeholder = network.vocabulary.image

    (row,) = answer_log_probs(network, group_of(tasks[1], [[placeholder, 4]], [0]))

    assert torch.isfinite(row).all()


def plain_gradient(
    network: RoboReferModel,
    reference: RoboReferModel,
    old: RoboReferModel,
    groups: Sequence[Group],
    settings: GrpoSettings,
) -> tuple[float, dict[str, torch.Tensor]]:
    """Write the definition down as it stands, one token after the other, without batches."""

    def probabilities(model: RoboReferModel, group: Group, ids: torch.Tensor) -> torch.Tensor:
        inputs = group.task.inputs
        whole = replace(inputs, input_ids=torch.cat([inputs.input_ids, ids]))
        logits = model([whole])[0] / settings.temperature
        logged = logits[-len(ids) - 1 : -1].log_softmax(-1)
        return logged.gather(-1, ids[:, None])[:, 0]

    losses = []
    for group in groups:
        totals = torch.tensor([one.reward.total for one in group.attempts], dtype=torch.float64)
        normal = (totals - totals.mean()) / (totals.std() + settings.epsilon)
        for attempt, advantage in zip(group.attempts, normal, strict=True):
            new = probabilities(network, group, attempt.ids)
            with torch.no_grad():
                past = probabilities(old, group, attempt.ids)
                fixed = probabilities(reference, group, attempt.ids)
            tokens = []
            for a, b, c in zip(new, past, fixed, strict=True):
                ratio = torch.exp(a - b)
                held = torch.clip(ratio, 1 - settings.clip, 1 + settings.clip)
                best = torch.minimum(ratio * advantage, held * advantage)
                kl = torch.exp(c - a) - (c - a) - 1
                tokens.append(-(best - settings.kl * kl))
            losses.append(sum(tokens) / len(tokens))
    loss = torch.stack(losses).mean()
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return float(loss.detach()), {
        name: torch.zeros_like(p) if gradient is None else gradient
        for (name, p), gradient in zip(named.items(), found, strict=True)
    }


def test_gradient_is_that_of_a_plain_reference(network: RoboReferModel, tasks: list[Task]) -> None:
    torch.manual_seed(0)
    network = network.double()
    reference, old = frozen_copy(network), frozen_copy(network)
    with torch.no_grad():
        for model, size in ((reference, 0.05), (old, 0.03)):
            for parameter in model.parameters():
                parameter.add_(size * torch.randn_like(parameter) * parameter.abs().mean())
    settings = GrpoSettings(clip=0.1, kl=0.3, temperature=0.9)
    doubles = [
        replace(
            task,
            inputs=replace(
                task.inputs,
                image_tiles=task.inputs.image_tiles.double(),
                depth_tiles=task.inputs.depth_tiles.double(),
            ),
        )
        for task in tasks
    ]
    answers = [torch.randint(0, 500, (n,)).tolist() for n in (5, 1, 9, 3)]
    groups = [
        group_of(doubles[0], answers, [0.0, 1.0, 2.5, 1.25]),
        group_of(doubles[1], answers[:3], [0.0, 0.0, 1.0]),
    ]

    figures = accumulate_gradients(
        network,
        reference,
        groups,
        settings,
        old=constant_log_probs(old, groups, settings.temperature),
    )

    loss, gradients = plain_gradient(network, reference, old, groups, settings)
    assert figures.loss == pytest.approx(loss, rel=1e-6)
    assert figures.kl > 0
    assert 0 < figures.clipped < 1
    parameters = dict(network.named_parameters())
    assert any(gradient.abs().max() > 1e-4 for gradient in gradients.values())
    for name, gradient in gradients.items():
        found = parameters[name].grad
        found = torch.zeros_like(gradient) if found is None else found
        # Positions and norms are computed in single precision whatever the weights are.
        limit = 1e-5 * max(1e-3, float(gradient.abs().max()))
        assert torch.allclose(found, gradient, atol=limit, rtol=0), name


def test_groups_one_by_one_give_the_gradient_of_all_at_once(
    network: RoboReferModel, tasks: list[Task]
) -> None:
    settings = GrpoSettings()
    reference = frozen_copy(network)
    groups = [group_of(task, [[1, 2, 3], [4]], [0, 1]) for task in tasks]
    accumulate_gradients(network, reference, groups, settings)
    weight = network.llm.model.embed_tokens.weight
    assert weight.grad is not None
    together = weight.grad.clone()
    network.zero_grad()

    for group in groups:
        accumulate_gradients(network, reference, [group], settings, answers=4)

    assert torch.allclose(weight.grad, together, atol=1e-7)


def test_reference_stays_what_it_was(network: RoboReferModel, tasks: list[Task]) -> None:
    reference = frozen_copy(network)
    before = {name: p.clone() for name, p in reference.named_parameters()}

    accumulate_gradients(
        network, reference, [group_of(tasks[0], [[1], [2]], [0, 1])], GrpoSettings()
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)

    assert all(p.grad is None and not p.requires_grad for p in reference.parameters())
    assert all(torch.equal(p, before[name]) for name, p in reference.named_parameters())


def test_loss_that_is_no_number_names_its_question(
    network: RoboReferModel, tasks: list[Task]
) -> None:
    reference = frozen_copy(network)
    with torch.no_grad():
        network.llm.lm_head.weight.fill_(float("nan"))

    with pytest.raises(TrainingError, match="question 'rgb'"):
        accumulate_gradients(
            network, reference, [group_of(tasks[1], [[1], [2]], [0, 1])], GrpoSettings()
        )


def test_drawn_answers_are_the_same_for_the_same_seed_only(
    network: RoboReferModel, processor: Processor, tasks: list[Task]
) -> None:
    def draw(seed: int) -> list[list[int]]:
        groups = draw_groups(
            network, processor, tasks, samples=3, max_new_tokens=6, seed=(seed, 0)
        )
        return [one.ids.tolist() for group in groups for one in group.attempts]

    first = draw(1)

    assert len(first) == 6
    assert first == draw(1)
    assert first != draw(2)
    # The first three are about one question; a seed of its own makes each of them differ.
    assert len({tuple(ids) for ids in first}) > 3


def test_end_of_an_answer_is_learnt_and_cutting_it_off_is_not(
    network: RoboReferModel, processor: Processor, tasks: list[Task]
) -> None:
    stop = processor.stop_ids[0]

    (cut,) = draw_groups(network, processor, tasks[:1], samples=2, max_new_tokens=1)
    with torch.no_grad():
        # Whatever it reads, it stops at once.
        width = network.config.language.hidden_size
        network.llm.lm_head = torch.nn.Linear(width, network.vocabulary.size)
        network.llm.lm_head.weight.zero_()
        network.llm.lm_head.bias.zero_()
        network.llm.lm_head.bias[stop] = 50.0
    (ended,) = draw_groups(network, processor, tasks[:1], samples=2, max_new_tokens=5)

    assert all(len(one.ids) == 1 for one in cut.attempts)
    assert [one.ids.tolist() for one in ended.attempts] == [[stop], [stop]]


def write_records(folder: Path, golden: Path, entry: dict[str, object]) -> Path:
    record = {
        "id": "one",
        "image": ["small.png"],
        "depth": ["small_depth.png"],
        "conversations": [
            {"from": "human", "value": "<image>\nPoint to the cup."},
            {"from": "gpt", "value": "<think> </think><answer>[(0.1, 0.2)]</answer>"},
        ],
    }
    path = folder / "records.json"
    path.write_text(json.dumps([record | entry]), encoding="utf-8")
    return path


def test_task_is_the_prompt_that_supervised_training_has_seen(
    tmp_path: Path, golden: Path, processor: Processor
) -> None:
    images = golden / "images"
    steps = [{"perception": "position", "target": "the cup", "value": [0.1, 0.2]}]
    path = write_records(tmp_path, golden, {"point": [0.1, 0.2], "steps": steps})

    task = TaskDataset(SpatialDataset(path, processor, images, images))[0]

    expected = processor.prepare(
        [load_picture(images / "small.png")],
        [load_depth(images / "small_depth.png")],
        "Point to the cup.",
    )
    assert task.inputs.input_ids.tolist() == expected.input_ids.tolist()
    height, width = load_picture(images / "small.png").shape[:2]
    assert (task.goal.width, task.goal.height, task.goal.point) == (width, height, (0.1, 0.2))
    assert task.goal.steps[0].target == "the cup"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({}, "point"),
        ({"point": [0.5]}, "point"),
        ({"point": [0.5, 1.5]}, "point"),
        ({"point": [True, 0.5]}, "point"),
        ({"point": [0.5, 0.5], "image": [], "depth": []}, "image"),
        ({"point": [0.5, 0.5], "steps": {"a": 1}}, "steps"),
        ({"point": [0.5, 0.5], "steps": [{"perception": "smell", "target": "x"}]}, r"steps\[0\]"),
        (
            {"point": [0.5, 0.5], "steps": [{"perception": "size", "target": "x", "value": "1"}]},
            r"steps\[0\]",
        ),
    ],
)
def test_record_without_a_goal_is_named(
    tmp_path: Path, golden: Path, processor: Processor, entry: dict[str, object], field: str
) -> None:
    path = write_records(tmp_path, golden, entry)
    samples = SpatialDataset(path, processor, golden / "images")

    with pytest.raises(RecordError, match=f"record one, field '{field}'"):
        TaskDataset(samples)


@pytest.mark.parametrize(
    "values",
    [
        {"samples": 1},
        {"temperature": 0.0},
        {"clip": 1.0},
        {"kl": -0.1},
        {"epsilon": 0.0},
        {"updates": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        GrpoSettings(**values)  # type: ignore[arg-type]
