# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RoboRefer-Sim-Bench: fixed questions about simulated tables that training never shows.

In the raw form of RefSpatial-Bench, with sensor depth and cameras (`evaluation.benchmarks.own`):

    Location/   one thing of a colour that it has in training, too: a point on it
    Placement/  a free place on the table: a point on it
    Unseen/     both, about things in colours that training never shows them in

Scenes, and all wordings, are held out of training. A mask is the truth of the simulator: the
visible pixels of the thing, or all bare pixels of the support for which the words hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from roborefer_vlm.data.answer_masks import mask_of
from roborefer_vlm.data.examples import Example, Kind, Maker, Phrasings, Rejected, Wish
from roborefer_vlm.data.paraphrasing import suffix
from roborefer_vlm.data.program_json import program_from_json
from roborefer_vlm.data.questions import makers_of
from roborefer_vlm.data.sources.simulator import SimulatorSource
from roborefer_vlm.data.sources.simulator_settings import SceneSplit, SimulatorSettings
from roborefer_vlm.data.views import Shot, View
from roborefer_vlm.drawing import encode_png
from roborefer_vlm.exceptions import ConfigurationError, SourceError
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import BoolArray

NAME = "RoboRefer-Sim-Bench"
# Changing anything that decides which questions there are makes another benchmark.
VERSION = 1
SEED = 7_000_000
DEPTH_SCALE_M = 1e-4
PARTS = ("Location", "Placement", "Unseen")
# Of the unseen ones, how many of three ask for a thing.
_UNSEEN_THINGS = 2 / 3
_TRIES = 6
# Less is no fair aim: a disc of 7 pixels.
_LEAST_PIXELS = 150
# Scenes looked at per question wished for, before giving up.
_MOST_SCENES = 40


@dataclass(frozen=True)
class Sizes:
    """How many questions each part has; the defaults are RefSpatial-Bench's."""

    location: int = 100
    placement: int = 100
    unseen: int = 77

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigurationError(f"'{name}' is {value}; at least 1 question is needed")


@dataclass(frozen=True, eq=False)
class Item:
    """One question with everything that is written for it.

    Attributes:
        part: One of PARTS.
        example: The question.
        view: What it is about.
        mask: Where a right answer lies, shape (height, width).
    """

    part: str
    example: Example
    view: View
    mask: BoolArray


def write_sim_bench(
    folder: str | Path, sizes: Sizes | None = None, *, show: bool = True
) -> dict[str, int]:
    """Write the benchmark; the same call gives the same files.

    Args:
        folder: Where to; it must not exist or be empty.
        sizes: How many questions; None: the published numbers. Others are for tests.
        show: Show progress.

    Returns:
        How many questions were left out, by reason.

    Raises:
        ConfigurationError: The folder holds something, roborefer_sim is not installed, or too
            few questions came about.
    """
    sizes = sizes or Sizes()
    root = Path(folder)
    if root.exists() and any(root.iterdir()):
        raise ConfigurationError(f"{root} is not empty; name a new folder")
    wanted = dict(zip(PARTS, (sizes.location, sizes.placement, sizes.unseen), strict=True))
    left_out: Counter[str] = Counter()
    entries: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    with tqdm(total=sum(wanted.values()), unit="question", disable=not show) as bar:
        for item in make_items(sizes, left_out):
            entries[item.part].append(_write(item, root / item.part, len(entries[item.part])))
            bar.update()
    for part, some in entries.items():
        text = json.dumps(some, indent=1) + "\n"
        (root / part / "question.json").write_text(text, encoding="utf-8")
    about = {"name": NAME, "version": VERSION, "seed": SEED, "left_out": dict(left_out)}
    (root / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return dict(left_out)


def make_items(sizes: Sizes, left_out: Counter[str]) -> Iterator[Item]:
    """Yield all questions; a scene gives at most one to each part.

    Args:
        sizes: How many.
        left_out: Counts what was not asked.

    Raises:
        ConfigurationError: roborefer_sim is not installed, or too few questions came about.
    """
    unseen_things = round(_UNSEEN_THINGS * sizes.unseen)
    open_places = {
        ("Location", Kind.LOCATION): sizes.location,
        ("Placement", Kind.PLACEMENT): sizes.placement,
        ("Unseen", Kind.LOCATION): unseen_things,
        ("Unseen", Kind.PLACEMENT): sizes.unseen - unseen_things,
    }
    most = _MOST_SCENES * sum(open_places.values())
    source = SimulatorSource(SEED, most, settings=SimulatorSettings(split=SceneSplit.HELD_OUT))
    makers = makers_of([Kind.LOCATION.value, Kind.PLACEMENT.value])
    try:
        for index in range(most):
            if not any(open_places.values()):
                return
            try:
                shot = source.shot(index)
            except SourceError:
                left_out["no scene"] += 1
                continue
            yield from _ask(shot, makers, index, open_places, left_out)
    finally:
        source.close()
    raise ConfigurationError(f"{most} scenes gave too few questions: {open_places} are missing")


def _ask(
    shot: Shot,
    makers: tuple[Maker, ...],
    index: int,
    open_places: dict[tuple[str, Kind], int],
    left_out: Counter[str],
) -> Iterator[Item]:
    """Yield at most one question of a shot for each part that is not full, and count it there."""
    taken: set[str] = set()
    for number, maker in enumerate(makers):
        rng = np.random.default_rng([SEED, index, number])
        for found in maker.make(shot, rng, Wish(_TRIES, Phrasings.HELD_OUT)):
            if isinstance(found, Rejected):
                left_out[found.reason] += 1
                continue
            view = shot.views[found.views[0]]
            part = _part(view, found)
            if part in taken or not open_places[part, found.kind]:
                continue
            mask = mask_of(view, found, np.random.default_rng([SEED, index]))
            problem = _problem(mask, found)
            if mask is None or problem:
                left_out[problem] += 1
                continue
            open_places[part, found.kind] -= 1
            taken.add(part)
            yield Item(part, found, view, mask)


def _part(view: View, example: Example) -> str:
    """Return the part that a question belongs to."""
    facts = example.facts
    named = set(facts["anchors"])
    if example.kind is Kind.LOCATION:
        named.add(facts["target"])
    return "Unseen" if named & set(view.meta["unseen"]) else example.kind.capitalize()


def _steps(program: Any) -> int:
    """Return anchors and relations of a program, as RefSpatial-Bench counts them for places."""
    if isinstance(program, list):
        return sum(map(_steps, program))
    if not isinstance(program, dict):
        return 0
    return (program.get("node") in ("thing", "constraint")) + _steps(list(program.values()))


def _problem(mask: BoolArray | None, example: Example) -> str:
    """Return why a mask is no fair aim, or "" if it can be hit and the known answer does so."""
    if mask is None:
        return "one place only"
    if mask.sum() < _LEAST_PIXELS:
        return "small mask"
    height, width = mask.shape
    assert example.point is not None
    x, y = example.point
    return "" if mask[int(y * height), int(x * width)] else "answer beside mask"


def _write(item: Item, folder: Path, number: int) -> dict[str, Any]:
    """Write the pictures of a question and return its record."""
    view = item.view
    assert view.depth_m is not None
    k = view.scene.camera.intrinsics
    camera = {"width": k.width, "height": k.height, "fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy}
    # Beyond what 16 bits hold is as good as not measured.
    units = np.rint(view.depth_m / DEPTH_SCALE_M)
    units[~((units > 0) & (units < 2**16))] = 0
    files: dict[str, bytes] = {
        "image": encode_png(view.rgb),
        "mask": encode_png(np.where(item.mask, 255, 0).astype(np.uint8)),
        "depth": cv2.imencode(".png", units.astype(np.uint16))[1].tobytes(),
        "camera": json.dumps({**camera, "depth_scale_m": DEPTH_SCALE_M}, indent=1).encode(),
    }
    names = {kind: f"{kind}/{number}{'.json' if kind == 'camera' else '.png'}" for kind in files}
    for kind, content in files.items():
        path = folder / names[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    facts = item.example.facts
    steps = facts["steps"] if "steps" in facts else _steps(facts["program"])
    return {
        "id": number,
        "object": describe(program_from_json(facts["program"])).removeprefix("point to "),
        "prompt": item.example.question,
        "suffix": suffix(),
        "rgb_path": names["image"],
        "mask_path": names["mask"],
        "depth_path": names["depth"],
        "camera_path": names["camera"],
        "category": item.part,
        "step": min(5, max(1, steps)),
        "scene": view.key,
        "phrasing": item.example.phrasing,
    }
