# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done with one shot, by whichever process or machine: from an index to a part.

A part is everything that a shot gives: records, encoded pictures, counts. It depends on the work
and the index alone, so parts can be made in any order, anywhere, and again.
"""

from __future__ import annotations

import json
import tarfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from roborefer_vlm.data.archives import tar_bytes, tar_files
from roborefer_vlm.data.examples import Example, Kind, Maker, Rejected, Wish
from roborefer_vlm.data.marking import draw_marks
from roborefer_vlm.data.records import MOST_TURNS, Draft, check, draft, marks_of, record_of
from roborefer_vlm.data.tally import Tally
from roborefer_vlm.data.views import Shot, Source, View
from roborefer_vlm.drawing import encode_jpeg, encode_png
from roborefer_vlm.exceptions import (
    ConfigurationError,
    GenerationError,
    PictureError,
    SourceError,
)
from roborefer_vlm.model.depth import relative_depth

JPEG_QUALITY = 95
IMAGE, DEPTH = "image", "depth"
_RECORDS = "records.json"
_TALLY = "tally.json"


@dataclass(frozen=True)
class Part:
    """What one shot gives.

    Attributes:
        records: Pairs of a group's name and a record.
        files: Encoded pictures by name, such as "image/sim-000012-0.jpg".
        tally: What was asked and what was not.
    """

    records: tuple[tuple[str, dict[str, Any]], ...]
    files: Mapping[str, bytes]
    tally: Tally

    def encode(self) -> bytes:
        """Return the part as one archive; equal parts give equal bytes."""
        records = [{"group": group, "record": record} for group, record in self.records]
        return tar_bytes(
            {_RECORDS: _json(records), _TALLY: _json(self.tally.to_json()), **self.files}
        )

    @classmethod
    def read(cls, path: Path) -> Part:
        """Read a part from its file.

        Raises:
            GenerationError: It cannot be read.
        """
        try:
            files = tar_files(path.read_bytes())
            records = json.loads(files.pop(_RECORDS))
            tally = Tally(json.loads(files.pop(_TALLY)))
            pairs = tuple((one["group"], one["record"]) for one in records)
        except (OSError, tarfile.TarError, KeyError, ValueError) as error:
            raise GenerationError(
                f"{path} is no part of a run: {error}; remove it, and it is made again"
            ) from error
        return cls(pairs, files, tally)


@dataclass(frozen=True)
class Work:
    """Everything that a part depends on besides its index; sent to workers once.

    Attributes:
        source: Where shots come from.
        makers: What asks about them, in this order.
        seed: Of the makers; the source has its own.
        wishes: How many questions per kind; `Wish()` for kinds that are not named.
        most_turns: Most questions of one record.
        lossless: Pictures as PNG, not as JPEG.
    """

    source: Source
    makers: tuple[Maker, ...]
    seed: int = 0
    wishes: Mapping[Kind, Wish] = field(default_factory=dict)
    most_turns: int = MOST_TURNS
    lossless: bool = False

    def __post_init__(self) -> None:
        if not self.makers:
            raise ConfigurationError("no maker of questions is given; one kind at least is needed")
        if self.most_turns < 1:
            raise ConfigurationError(f"most_turns is {self.most_turns}; 1 or more is right")

    def part(self, index: int) -> Part:
        """Make the part of a shot.

        A shot that its source cannot make gives a part without records that counts the reason.

        Raises:
            GenerationError: Anything else went wrong; the shot is named.
        """
        try:
            try:
                return self.part_of(self.source.shot(index), index)
            except (SourceError, PictureError) as error:
                tally = Tally()
                tally.failed(str(error))
                return Part((), {}, tally)
        except Exception as error:
            raise GenerationError(
                f"shot {index} of source '{self.source.name}' failed:\n"
                f"{''.join(traceback.format_exception(error)).rstrip()}"
            ) from error

    def part_of(self, shot: Shot, index: int) -> Part:
        """Make the part of a shot that is at hand.

        Raises:
            RecordError: A maker made an example that cannot be written.
            PictureError: The depth of a view has no measured pixel.
        """
        tally = Tally()
        examples = list(self.examples(shot, index, tally))
        tally.count("shots", "made" if examples else "without questions")
        # Kinds take turns in a conversation, so that no maker's order is learnt.
        rng = np.random.default_rng([self.seed, index])
        examples = [examples[place] for place in rng.permutation(len(examples))]
        return self.packed(shot, examples, tally)

    def examples(self, shot: Shot, index: int, tally: Tally) -> Iterator[Example]:
        """Yield what the makers ask about a shot, each question of a kind once, and count all."""
        trusted = frozenset.intersection(*(view.trusts for view in shot.views))
        asked: set[tuple[Kind, tuple[int, ...], str]] = set()
        seen: dict[Kind, int] = {}
        for maker in self.makers:
            number = seen[maker.kind] = seen.get(maker.kind, -1) + 1
            if missing := maker.needs - trusted:
                tally.skipped(maker.kind, missing)
                continue
            # Its own generator, so that a kind's questions do not depend on the other kinds.
            rng = np.random.default_rng([self.seed, index, list(Kind).index(maker.kind), number])
            for made in maker.make(shot, rng, self.wishes.get(maker.kind, Wish())):
                if isinstance(made, Rejected):
                    tally.rejected(made)
                    continue
                check(shot, made)
                key = (made.kind, made.views, made.question)
                # Marks change the picture, so equal words may ask about different things.
                if key in asked and not marks_of(made):
                    tally.rejected(Rejected(made.kind, "asked already"))
                    continue
                asked.add(key)
                tally.example(made)
                yield made

    def packed(self, shot: Shot, examples: Sequence[Example], tally: Tally) -> Part:
        """Write records of examples, and encode the pictures that they show."""
        files: dict[str, bytes] = {}
        records = []
        for one in draft(examples, self.most_turns):
            views = [shot.views[view] for view in one.views]
            images = [self._image(view, one, files) for view in views]
            depths = [_depth(view, files) for view in views if view.depth_m is not None]
            if len(depths) < len(views):
                depths = []
            records.append((one.group.value, record_of(one, images, depths)))
        return Part(tuple(records), files, tally)

    def _image(self, view: View, one: Draft, files: dict[str, bytes]) -> str:
        """Encode a picture, unless another record shows it as well, and return its name."""
        marks = marks_of(one.examples[0])
        stem = f"{view.key}.{one.examples[0].id}" if marks else view.key
        name = f"{_safe(stem)}.{'png' if self.lossless else 'jpg'}"
        if f"{IMAGE}/{name}" not in files:
            rgb = draw_marks(view.rgb, marks) if marks else view.rgb
            data = encode_png(rgb) if self.lossless else encode_jpeg(rgb, JPEG_QUALITY)
            files[f"{IMAGE}/{name}"] = data
        return name


def _depth(view: View, files: dict[str, bytes]) -> str:
    name = f"{view.key}.png"
    if f"{DEPTH}/{name}" not in files:
        assert view.depth_m is not None
        _, data = cv2.imencode(".png", relative_depth(view.depth_m))
        files[f"{DEPTH}/{name}"] = data.tobytes()
    return name


def _safe(stem: str) -> str:
    """Return a file name that a tar shard takes for one key: no folder, no dot."""
    return "".join(c if c.isalnum() or c in "-_+" else "-" for c in stem)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
