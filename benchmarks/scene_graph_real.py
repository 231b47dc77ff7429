#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How often the scene_graph engine points right on real RGB-D scenes.

Scored as RoboRefer scores: the share of an answer's points inside the mask, 0 for a refusal. Eight
public scenes with questions lie outside the repository (see --data); without them there is
nothing to measure. Each question is asked with the annotated things given, and with the engine's
own segmentation, where things have no names. Beside the questions of the data come

- the same targets worded as robot commands (`instruction`),
- paraphrases that are written from the programs the engine reads out of the questions,
- our own questions over the same things (vlm/tests/language/questions.json), among them some whose
  right answer is that it is ambiguous, not there, or not understood; they were at hand when the
  lexicon was written,
- and held-out ones, written after lexicon and grammar; no word was added for them.
"""

from __future__ import annotations

import argparse
import base64
import html
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from roborefer_vlm.backends.scene_graph.engine import SceneGraphEngine
from roborefer_vlm.backends.scene_graph.grammar import parse
from roborefer_vlm.scenes.wording import describe
from roborefer_vlm.types import Answer, GivenObject, Intrinsics, Outcome, Pixel, Query
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "real_rgbd"
OURS = ROOT / "vlm" / "tests" / "language"
SPLITS = ("Location", "Placement", "Unseen")
# Wordings that mean the same, tried one after the other on what `describe` writes.
SAME = (
    ("to the left of", "left of"),
    ("to the right of", "on the right side of"),
    ("closest to the camera", "nearest to me"),
    ("farthest from the camera", "furthest away from the viewer"),
    ("closest to", "nearest to"),
    ("farthest from", "furthest from"),
    ("next to", "beside"),
    ("behind", "at the back of"),
    ("in front of", "before"),
    ("inside", "in"),
    ("the free space", "an empty spot"),
    ("on the far left", "on the left side"),
    ("on the far right", "to the right"),
)
FRAMES = ("Point to {}.", "Could you please find {} for me?", "Where is {}?", "I want {}, please.")
PUT_FRAMES = ("Point to {}.", "Place it in {}.", "Please locate {}.", "Put the thing in {} now.")

Mask = np.ndarray
Check = Callable[[Answer], float]


@dataclass
class Case:
    """One question and what is right."""

    group: str
    scene: str
    text: str
    check: Check
    category: str = ""
    right: Mask | None = None


@dataclass
class Result:
    """One answered question."""

    case: Case
    answer: Answer
    score: float
    seconds: float
    given: bool = True

    @property
    def reason(self) -> str:
        """Why it missed, in one line."""
        if self.answer.outcome is Outcome.OK:
            places = ", ".join(
                f"{p.label} at ({p.pixel.u:.0f}, {p.pixel.v:.0f})" for p in self.answer.points
            )
            return f"pointed at {places}"
        return f"{self.answer.outcome}: {self.answer.text}"


@dataclass
class Scenes:
    """The real scenes of a folder."""

    folder: Path
    _queries: dict[tuple[str, bool], Query] = field(default_factory=dict)

    def query(self, scene: str, given: bool) -> Query:
        """Return a query about a scene, still without its sentence."""
        key = (scene, given)
        if key not in self._queries:
            folder = self.folder / "scenes" / scene
            camera = json.loads((folder / "camera.json").read_text(encoding="utf-8"))
            names = ("width", "height", "fx", "fy", "cx", "cy")
            depth = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
            objects = tuple(GivenObject(name, mask) for _, name, mask in self.instances(scene))
            self._queries[key] = Query(
                cv2.cvtColor(cv2.imread(str(folder / "rgb.png")), cv2.COLOR_BGR2RGB),
                "nothing yet",
                depth_m=(depth * camera["depth_scale_m"]).astype(np.float32),
                intrinsics=Intrinsics(*(camera[name] for name in names)),
                objects=objects if given else (),
            )
        return self._queries[key]

    @cache  # noqa: B019
    def instances(self, scene: str) -> list[tuple[int, str, Mask]]:
        """Return id, name and mask of everything that was annotated."""
        folder = self.folder / "scenes" / scene
        ids = cv2.imread(str(folder / "instances.png"), cv2.IMREAD_GRAYSCALE)
        listed = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
        return [(one["id"], one["name"], ids == one["id"]) for one in listed]

    def __hash__(self) -> int:
        return id(self)

    # ---- questions --------------------------------------------------------------------------

    def published(self) -> Iterator[Case]:
        """Yield the questions of the data, as prompts, as commands and paraphrased."""
        for split in SPLITS:
            folder = self.folder / split
            for one in json.loads((folder / "question.json").read_text(encoding="utf-8")):
                mask = cv2.imread(str(folder / one["mask_path"]), cv2.IMREAD_GRAYSCALE) > 0
                case = Case(
                    split.lower(),
                    one["scene"],
                    f"{one['prompt']} {one['suffix']}",
                    lambda answer, mask=mask: share_inside(answer, mask),
                    f"{one['category']}, {one['step']} steps",
                    mask,
                )
                yield case
                yield replace(case, group="instruction", text=one["instruction"])
                for text in paraphrases(one["prompt"]):
                    yield replace(case, group="paraphrase", text=text)

    def extra(self) -> Iterator[Case]:
        """Yield our own questions, then those that were held out."""
        for group, name in (("extra", "questions"), ("held_out", "held_out_questions")):
            asked = json.loads((OURS / f"{name}.json").read_text(encoding="utf-8"))
            yield from (replace(case, group=group) for case in self._ours(asked))

    def _ours(self, asked: Sequence[dict[str, Any]]) -> Iterator[Case]:
        for one in asked:
            scene, text = one["scene"], one["text"]
            masks = {i: mask for i, _, mask in self.instances(scene)}
            if "ids" in one:
                mask = np.any([masks[i] for i in one["ids"]], axis=0)
                check: Check = lambda answer, mask=mask: share_inside(answer, mask)  # noqa: E731
                yield Case("extra", scene, text, check, "thing", mask)
            elif "region" in one:
                [(kind, ids)] = one["region"].items()
                chosen, others = [masks[i] for i in ids], np.any(list(masks.values()), axis=0)
                check = lambda answer, k=kind, c=chosen, o=others: float(  # noqa: E731
                    bool(answer.points) and all(in_region(k, p.pixel, c, o) for p in answer.points)
                )
                yield Case("extra", scene, text, check, f"place, {kind}")
            elif "outcome" in one:
                check = lambda answer, o=one["outcome"]: float(answer.outcome == o)  # noqa: E731
                yield Case("extra", scene, text, check, one["outcome"])
            else:
                check = lambda answer, t=one["answer"]: float(answer.text == t)  # noqa: E731
                yield Case("extra", scene, text, check, "question")


def share_inside(answer: Answer, mask: Mask) -> float:
    """Return the share of an answer's points in a mask; 0 without points."""
    if not answer.points:
        return 0.0
    return statistics.mean(float(at(mask, point.pixel)) for point in answer.points)


def at(mask: Mask, pixel: Pixel) -> bool:
    """Tell whether a pixel lies in a mask; outside the image it does not."""
    u, v = round(pixel.u), round(pixel.v)
    return 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and bool(mask[v, u])


def in_region(kind: str, pixel: Pixel, anchors: Sequence[Mask], things: Mask) -> bool:
    """Tell by the picture alone whether a pixel lies where the words say.

    Independent of the engine's relations: silhouettes and their borders only. "In front" is
    below the middle of the silhouette's foot, left and right are beside it at the height of it.
    """
    if kind == "inside":
        return at(anchors[0], pixel)
    if at(things, pixel):
        return False
    point = np.array([pixel.u, pixel.v])
    if kind == "between":
        size = max(float(np.sqrt(mask.sum())) for mask in anchors)
        ends = zip(*(middle_and_foot(mask) for mask in anchors), strict=True)
        return any(near_line(point, first, second, 0.6 * size) for first, second in ends)
    rows, columns = np.nonzero(anchors[0])
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    reach = 1.5 * max(height, width)
    beside = rows.min() - 0.3 * height <= pixel.v <= rows.max() + 0.5 * height
    level = columns.min() - 0.5 * width <= pixel.u <= columns.max() + 0.5 * width
    return {
        "left": beside and columns.min() - reach <= pixel.u < columns.mean(),
        "right": beside and columns.mean() < pixel.u <= columns.max() + reach,
        "front": level and rows.mean() < pixel.v <= rows.max() + reach,
        "behind": level and rows.min() - reach <= pixel.v < rows.mean(),
    }[kind]


def middle_and_foot(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a silhouette, and the middle of what it stands on, as (u, v)."""
    rows, columns = np.nonzero(mask)
    foot = rows.max() - 0.15 * np.ptp(rows)
    return np.array([columns.mean(), rows.mean()]), np.array([columns.mean(), foot])


def near_line(point: np.ndarray, first: np.ndarray, second: np.ndarray, width: float) -> bool:
    """Tell whether a pixel lies in the inner part of the lane between two others."""
    line = second - first
    length = float(np.linalg.norm(line))
    step = point - first
    along = float(step @ line) / length**2
    across = abs(float(line[0] * step[1] - line[1] * step[0])) / length
    return 0.1 < along < 0.9 and across < max(0.35 * length, width)


def paraphrases(prompt: str) -> list[str]:
    """Return other sentences for the same target, written from the program of a prompt."""
    programs = parse(prompt)
    if not isinstance(programs, tuple):
        return []
    target = describe(programs[0]).removeprefix("point to ")
    frames = PUT_FRAMES if "free space" in target else FRAMES
    texts = [target]
    for old, new in SAME:
        if old in texts[-1]:
            texts.append(texts[-1].replace(old, new))
    texts = list(dict.fromkeys([texts[0], texts[-1]]))
    return [frame.format(texts[i % len(texts)]) for i, frame in enumerate(frames)]


# ---- running -----------------------------------------------------------------------------------


def run(scenes: Scenes, quick: bool) -> list[Result]:
    """Ask everything and return what came of it."""
    cases = [*scenes.published(), *scenes.extra()]
    if quick:
        cases = cases[::6]
    own = [replace(c) for c in cases if c.group in ("location", "placement", "unseen")]
    engine = SceneGraphEngine()
    results = []
    asked = [(case, True) for case in cases] + [(case, False) for case in own]
    for case, given in tqdm(asked, unit="question"):
        query = replace(scenes.query(case.scene, given), text=case.text)
        begin = time.perf_counter()
        answer = engine.refer(query)
        seconds = time.perf_counter() - begin
        results.append(Result(case, answer, case.check(answer), seconds, given))
    return results


def figures(results: Sequence[Result]) -> dict[str, float]:
    """Return every figure in per cent, and the median latencies."""
    groups: dict[str, list[float]] = defaultdict(list)
    for result in results:
        groups[f"real_{result.case.group}_{'given' if result.given else 'own'}"].append(
            result.score
        )
    found = {name: round(100 * statistics.mean(scores), 2) for name, scores in groups.items()}
    for given, name in ((True, "given"), (False, "own")):
        times = [r.seconds for r in results if r.given is given]
        found[f"real_latency_p50_ms_{name}"] = round(1e3 * statistics.median(times), 1)
    return found


def show(results: Sequence[Result]) -> None:
    """Print a table by category, then every miss with its reason."""
    table: dict[str, list[float]] = defaultdict(list)
    for r in results:
        kind = "given" if r.given else "own"
        table[f"{r.case.group:12} {kind:6} {r.case.category}"].append(r.score)
    for name, scores in sorted(table.items()):
        print(f"{name:44} {100 * statistics.mean(scores):6.1f} %  of {len(scores)}")
    for r in results:
        if r.score < 1:
            kind = "given" if r.given else "own"
            print(f"MISS {r.case.group} {kind} {r.case.scene}: {r.case.text[:110]!r} {r.reason}")


def contact_sheet(scenes: Scenes, results: Sequence[Result], out: Path) -> None:
    """Write a page with every answer drawn on its picture, misses first."""
    out.mkdir(parents=True, exist_ok=True)
    cells = []
    for r in sorted(results, key=lambda r: r.score):
        if r.case.group == "paraphrase" and r.score == 1:
            continue
        image = scenes.query(r.case.scene, True).image[:, :, ::-1].copy()
        if r.case.right is not None:
            lines, _ = cv2.findContours(
                r.case.right.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(image, lines, -1, (255, 0, 255), 2)
        for point in (*r.answer.points, *r.answer.candidates):
            place = (round(point.pixel.u), round(point.pixel.v))
            cv2.drawMarker(image, place, (0, 255, 255), cv2.MARKER_CROSS, 24, 3)
        small = cv2.resize(image, (360, round(360 * image.shape[0] / image.shape[1])))
        data = base64.b64encode(cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, 70))[1])
        text = html.escape(r.case.text.split(" Your answer")[0])
        verdict = "hit" if r.score == 1 else "miss"
        kind = "given" if r.given else "own"
        cells.append(
            f'<figure class="{verdict}"><img src="data:image/jpeg;base64,{data.decode()}">'
            f"<figcaption>{verdict}, {r.case.group}, {kind}, {r.case.scene}<br>{text}<br>"
            f"<small>{html.escape(r.reason)}</small></figcaption></figure>"
        )
    style = (
        "body{font-family:sans-serif;display:flex;flex-wrap:wrap}figure{width:360px;margin:6px;"
        "border-top:6px solid #2a2}figure.miss{border-color:#c22}"
    )
    page = f'<!doctype html><meta charset="utf-8"><style>{style}</style>{"".join(cells)}'
    (out / "scene_graph_real.html").write_text(page, encoding="utf-8")


def main() -> None:
    """Run all questions, print them, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="every sixth question")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the scenes")
    parser.add_argument("--out", type=Path, help="write a page of hits and misses to this folder")
    args = parser.parse_args()
    if not (args.data / "scenes").is_dir():
        parser.error(f"{args.data} has no folder 'scenes'; give the data with --data")
    load_before = os.getloadavg()[0]
    scenes = Scenes(args.data)
    results = run(scenes, args.quick)
    show(results)
    found: dict[str, Any] = dict(figures(results))
    found["conditions"] = {
        "quick": args.quick,
        "questions": len(results),
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in found.items():
        print(f"{name:28} {value}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if args.out:
        contact_sheet(scenes, results, args.out)


if __name__ == "__main__":
    main()
