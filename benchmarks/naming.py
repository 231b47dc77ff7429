#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How well the scene_graph engine finds and names the things of the simulated cell.

    python benchmarks/naming.py [--quick] [--json FILE]

Tables with seeds that the namer was not trained on, once as the cell's camera sees them, once from
random places, in random light, with strange things among them. The engine gets the picture of the
sensor model, without the direction of gravity. For each thing that is in view it is asked for
"the <colour> <noun>", where nothing else on the table has that colour and may be called so; it has
to point at a pixel of that very thing. Every figure counts things of the library; a thing that was
not found counts as wrong in the phrases, but not in nouns and colours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from roborefer_sim.core.gl import load_mujoco  # noqa: E402

load_mujoco()

from roborefer_sim.core.clutter import Clutter  # noqa: E402
from roborefer_sim.core.library import Make  # noqa: E402
from roborefer_sim.core.strangers import STRANGE  # noqa: E402
from roborefer_vlm.backends.scene_graph.free_space import space_candidates  # noqa: E402
from roborefer_vlm.backends.scene_graph.grammar import NotUnderstood, parse  # noqa: E402
from roborefer_vlm.backends.scene_graph.matching import Matcher  # noqa: E402
from roborefer_vlm.backends.scene_graph.namer import TabletopNamer  # noqa: E402
from roborefer_vlm.backends.scene_graph.perceive import build_scene  # noqa: E402
from roborefer_vlm.backends.scene_graph.segmentation import DepthSegmenter  # noqa: E402
from roborefer_vlm.backends.scene_graph.view import View  # noqa: E402
from roborefer_vlm.scenes.execution import Executor  # noqa: E402
from roborefer_vlm.scenes.graph import Scene, SceneObject  # noqa: E402
from roborefer_vlm.types import Outcome, TargetKind  # noqa: E402
from tabletop.scenes import Look, default_look, random_look  # noqa: E402

FIRST_SEED = 50_000
# A thing with less than this in view is hidden.
FEWEST_PIXELS = 150
LEAST_IOU = 0.5
MATCHER = Matcher()


@dataclass
class Tally:
    """What was counted in one set of scenes."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, object]] = field(default_factory=list)

    def add(self, figure: str, right: bool) -> None:
        """Count one case."""
        self.asked[figure] += 1
        self.right[figure] += right

    def percent(self, figure: str) -> float:
        """Return the share that was right."""
        return round(100 * self.right[figure] / max(self.asked[figure], 1), 2)


class Known:
    """Gives back segments that were found before."""

    def __init__(self, masks: list[np.ndarray]) -> None:
        self.masks = masks

    def segment(self, view: View) -> list[np.ndarray]:
        """Return them."""
        return self.masks


class Timed:
    """A namer that measures how long it takes."""

    def __init__(self, namer: TabletopNamer) -> None:
        self.namer, self.seconds, self.segments = namer, 0.0, 0

    def guesses(self, view: View, masks: list[np.ndarray]) -> list:
        """Return what the namer says."""
        _ = view.colors, view.upness
        begin = time.process_time()
        result = self.namer.guesses(view, masks)
        self.seconds += time.process_time() - begin
        self.segments += len(masks)
        return result


def name_of(make: Make) -> str:
    """Return what the namer calls a thing."""
    return make.thing.key.replace("_", " ")


def phrase_of(look: Look, index: int) -> str | None:
    """Return "the <colour> <noun>", or None where another thing may be called so as well."""
    make = look.makes[index]
    for i, other in enumerate(look.makes):
        names = {other.thing.noun, *other.thing.also}
        if i != index and other.color == make.color and make.thing.noun in names:
            return None
    return f"the {make.phrase}"


def matched(look: Look, index: int, scene: Scene) -> SceneObject | None:
    """Return what the engine found of a thing."""
    true = look.mask(index)

    def iou(mask: np.ndarray) -> float:
        return np.count_nonzero(mask & true) / np.count_nonzero(mask | true)

    best = max(scene.objects, key=lambda o: iou(o.mask), default=None)
    return best if best is not None and iou(best.mask) > LEAST_IOU else None


def color_of(thing: SceneObject, palette: set[str]) -> str:
    """Return the colour that the engine would say first."""
    given = sorted(thing.attributes & palette)
    return given[0] if given else next(iter(thing.colors), "")


def ask(look: Look, index: int, scene: Scene, text: str) -> str:
    """Return "" where the engine points at the thing, else what went wrong."""
    programs = parse(text)
    if isinstance(programs, NotUnderstood):
        return "not understood"
    executor = Executor(scene, MATCHER, partial(space_candidates, scene))
    answer = executor.best(programs, TargetKind.OBJECT)
    if answer.outcome is not Outcome.OK:
        return str(answer.outcome)
    pixel = answer.points[0].pixel
    hit = int(look.bodies[round(pixel.v), round(pixel.u)])
    if hit == index:
        return ""
    return (
        f"pointed at {look.makes[hit].phrase if hit >= 0 else ('robot' if hit == -2 else 'table')}"
    )


def judge(look: Look, number: str, namer: Timed, tally: Tally, out: Path | None) -> None:
    """Count what is right in one scene."""
    masks = DepthSegmenter().segment(View.of(look.query))
    named = build_scene(look.query, segmenter=Known(masks), namer=namer)
    plain = build_scene(look.query, segmenter=Known(masks))
    palette = {make.color for make in look.makes} | {"gray", "white", "black"}
    wrong = False
    for index, make in enumerate(look.makes):
        strange = make.thing.key.startswith(STRANGE)
        if np.count_nonzero(look.mask(index)) < FEWEST_PIXELS:
            continue
        found = matched(look, index, named)
        if strange:
            if found is not None:
                tally.add("unknown", found.name == "")
            continue
        tally.add("recall", found is not None)
        trouble = "" if found else "not found"
        if found is not None:
            tally.add("noun", found.name == name_of(make))
            said = color_of(found, palette)
            tally.add("color", said == make.color)
            if found.name != name_of(make):
                trouble = f"named '{found.name}'"
            elif said != make.color:
                trouble = f"called {said}"
        text = phrase_of(look, index)
        missed = ""
        if text is not None:
            missed = ask(look, index, named, text)
            tally.add("phrase", not missed)
            tally.add("phrase_without", not ask(look, index, plain, text))
        if trouble or missed:
            wrong = True
            tally.failures.append(
                {"scene": number, "thing": make.phrase, "key": make.thing.key,
                 "perception": trouble, "phrase": missed}
            )  # fmt: skip
    if wrong and out is not None:
        draw(look, named, out / f"{number}.png")


def draw(look: Look, scene: Scene, file: Path) -> None:
    """Write the picture with what was found and how it was named."""
    image = cv2.cvtColor(look.query.image, cv2.COLOR_RGB2BGR)
    for thing in scene.objects:
        contours, _ = cv2.findContours(
            thing.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, contours, -1, (255, 255, 0), 1)
        v, u = np.argwhere(thing.mask).min(axis=0)
        colors = " ".join(sorted(thing.attributes & set(thing.colors)))
        cv2.putText(image, f"{colors} {thing.name or '?'}", (int(u), int(v)),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)


def by_category(failures: list[dict[str, object]]) -> dict[str, int]:
    """Count failures by what went wrong."""

    def kind(text: object) -> str:
        return " ".join(str(text).split()[:2])

    counts = Counter(
        f"{kind(one['perception']) or 'seen right'} / {kind(one['phrase']) or 'no phrase missed'}"
        for one in failures
    )
    return dict(counts.most_common())


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few scenes")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--namer", default="tabletop", help="name or path of a namer")
    parser.add_argument("--scenes", type=int, help="how many of the cell's camera")
    parser.add_argument("--minutes", type=float, help="start no further scene after so long")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--pictures", type=Path, help="folder for pictures of failures")
    arguments = parser.parse_args()
    scenes = arguments.scenes or (6 if arguments.quick else 70)
    cv2.setNumThreads(1)
    namer = Timed(TabletopNamer.load(arguments.namer))
    load = os.getloadavg()[0]
    usual, anywhere = Tally(), Tally()
    first = arguments.first_seed
    clutter = Clutter(fewest=5, most=9)
    begin, seen = time.monotonic(), Counter[str]()
    # Two tables as the cell sees them, then one from anywhere, so that a limit keeps both.
    for i in tqdm(range(scenes + scenes // 2), unit="scene"):
        if arguments.minutes and time.monotonic() - begin > 60 * arguments.minutes:
            break
        if i % 3 == 2:
            seed = first + 5000 + i // 3
            look = random_look(seed, clutter, strange=0.3)
            judge(look, f"anywhere_{seed}", namer, anywhere, arguments.pictures)
            seen["anywhere"] += 1
        else:
            seed = first + i - i // 3
            look = default_look(seed)
            judge(look, f"cell_{seed}", namer, usual, arguments.pictures)
            seen["cell"] += 1
    figures: dict[str, object] = {
        "naming_noun_percent": usual.percent("noun"),
        "naming_color_percent": usual.percent("color"),
        "naming_phrase_percent": usual.percent("phrase"),
        "naming_phrase_percent_without": usual.percent("phrase_without"),
        "segment_recall_percent": usual.percent("recall"),
        "naming_noun_percent_anywhere": anywhere.percent("noun"),
        "naming_color_percent_anywhere": anywhere.percent("color"),
        "naming_phrase_percent_anywhere": anywhere.percent("phrase"),
        "naming_phrase_percent_without_anywhere": anywhere.percent("phrase_without"),
        "segment_recall_percent_anywhere": anywhere.percent("recall"),
        "naming_unknown_percent": anywhere.percent("unknown"),
        "naming_ms_per_segment": round(1000 * namer.seconds / max(namer.segments, 1), 2),
    }
    for name, value in figures.items():
        print(f"{name:42} {value}")
    for name, tally in (("cell", usual), ("anywhere", anywhere)):
        print(f"\nfailures, {name} ({tally.asked['phrase']} phrases):")
        for kind, count in by_category(tally.failures).items():
            print(f"  {count:4} {kind}")
    for one in usual.failures:
        print("  ", one)
    if arguments.json:
        figures["conditions"] = {
            "quick": arguments.quick,
            "scenes": seen["cell"],
            "scenes_anywhere": seen["anywhere"],
            "phrases": usual.asked["phrase"],
            "phrases_anywhere": anywhere.asked["phrase"],
            "failures": by_category(usual.failures),
            "failures_anywhere": by_category(anywhere.failures),
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
