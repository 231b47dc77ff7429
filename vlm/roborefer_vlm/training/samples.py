# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""From records of spatial data (as RefSpatial has them) to what the network learns from.

The form of a file is that of `roborefer_vlm.record_files`. A record has `conversations`; `image`,
unless it is text only; and `depth`, as many names as images, where it is read with depth. Other
keys do not matter.
The same file is usually read twice, with and without depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from roborefer_vlm.exceptions import ConfigurationError, PictureError, QueryError, RecordError
from roborefer_vlm.model.configuration import DYNAMIC, DYNAMIC_S2
from roborefer_vlm.model.inputs import ModelInput
from roborefer_vlm.model.pictures import load_depth, load_picture
from roborefer_vlm.model.processor import Processor
from roborefer_vlm.model.prompt import PromptForm, Turn, build_content, clean_turn
from roborefer_vlm.model.tokenizer import Piece
from roborefer_vlm.record_files import picture_names, read_entries, spoken
from roborefer_vlm.training.labels import Supervision, make_labels
from roborefer_vlm.types import UInt8Array


@dataclass(frozen=True)
class Record:
    """One conversation about some pictures, or about none.

    Attributes:
        source: File that it stands in.
        name: Its id, or its place in the file.
        images: Names of pictures, relative to their folder.
        depths: Names of depth pictures; empty where the record has none.
        turns: What is said, human first and then in turns; cleaned and stripped.
    """

    source: str
    name: str
    images: tuple[str, ...]
    depths: tuple[str, ...]
    turns: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """What the network learns from one record.

    Attributes:
        record: Where it comes from.
        inputs: The whole conversation, answers included.
        labels: Ids to learn, -100 elsewhere, int64, aligned with `inputs.input_ids`.
    """

    record: Record
    inputs: ModelInput
    labels: torch.Tensor


class SpatialDataset(Dataset[Sample]):
    """The records of one file, with or without depth; all checked before the first is used."""

    def __init__(
        self,
        path: str | Path,
        processor: Processor,
        image_folder: str | Path,
        depth_folder: str | Path | None = None,
        supervision: Supervision = Supervision.SPANS,
    ) -> None:
        """Read and check the records; pictures are read when their sample is asked for.

        Args:
            path: The JSON file.
            processor: Inputs of the network that is trained.
            image_folder: What names of pictures are relative to.
            depth_folder: The same for depth; None reads every record without depth.
            supervision: How the learnt tokens are found.

        Raises:
            RecordError: A record cannot be used; it is named, and none is left out.
            ConfigurationError: The network cannot be trained on this.
        """
        if processor.tiling.mode not in (DYNAMIC, DYNAMIC_S2):
            raise ConfigurationError(
                f"pictures of mode '{processor.tiling.mode}' cannot be trained;"
                f" use {DYNAMIC} or {DYNAMIC_S2}"
            )
        if depth_folder is not None and not processor.enable_depth:
            raise ConfigurationError("a depth folder is given, but the checkpoint knows no depth")
        self.processor = processor
        self.image_folder = Path(image_folder)
        self.depth_folder = None if depth_folder is None else Path(depth_folder)
        self.supervision = supervision
        self.records = read_records(path, with_depth=depth_folder is not None)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Read the pictures of a record and make a sample of it.

        Raises:
            RecordError: A picture is missing or broken.
        """
        record = self.records[index]
        images = [
            _load(record, "image", place, self.image_folder) for place in range(len(record.images))
        ]
        depths: list[UInt8Array] = []
        if self.depth_folder is not None:
            depths = [
                _load(record, "depth", place, self.depth_folder)
                for place in range(len(record.depths))
            ]
        return build_sample(self.processor, record, images, depths, self.supervision)


def build_sample(
    processor: Processor,
    record: Record,
    images: Sequence[UInt8Array],
    depths: Sequence[UInt8Array],
    supervision: Supervision = Supervision.SPANS,
) -> Sample:
    """Make a sample of a record whose pictures are at hand.

    Raises:
        RecordError: A text is no valid Unicode.
        PictureError: A picture has another dtype or shape.
    """
    (image_tiles, image_blocks), (depth_tiles, depth_blocks) = processor.tiling.cut_groups(
        images, depths
    )
    first = build_content(
        processor.tiling.mode, image_blocks, depth_blocks, record.turns[0], PromptForm.TRAIN
    )
    turns = [Turn("user", first)]
    for place, text in enumerate(record.turns[1:], start=1):
        turns.append(Turn("assistant" if place % 2 else "user", (Piece(text),)))
    try:
        ids, supervised = processor.tokenizer.encode(
            processor.chat.render(turns, generation=False)
        )
    except QueryError as error:
        raise RecordError(record.source, record.name, "conversations", str(error)) from error
    return Sample(
        record=record,
        inputs=ModelInput(
            input_ids=torch.tensor(ids, dtype=torch.int64),
            image_tiles=image_tiles,
            depth_tiles=depth_tiles,
            image_blocks=image_blocks,
            depth_blocks=depth_blocks,
        ),
        labels=torch.tensor(make_labels(ids, supervised, supervision), dtype=torch.int64),
    )


def read_records(path: str | Path, *, with_depth: bool) -> list[Record]:
    """Read a file of records and check every one.

    Args:
        path: The JSON file.
        with_depth: Whether a depth picture per picture is needed.

    Raises:
        RecordError: The file is no list of records, or a record lacks something.
    """
    return [
        _read_record(str(path), place, entry, with_depth)
        for place, entry in enumerate(read_entries(path))
    ]


def _read_record(source: str, place: int, entry: dict[str, Any], with_depth: bool) -> Record:
    name = str(entry.get("id", f"#{place}"))
    images = picture_names(source, name, "image", entry.get("image"))
    depths: tuple[str, ...] = ()
    if with_depth:
        depths = picture_names(source, name, "depth", entry.get("depth"))
        if len(depths) != len(images):
            raise RecordError(
                source, name, "depth", f"{len(depths)} names for {len(images)} images"
            )
    said = spoken(source, name, entry.get("conversations"))
    texts = tuple(clean_turn(text) for text in said)
    for number, text in enumerate(texts):
        if not text and number % 2:
            raise RecordError(source, name, f"conversations[{number}]", "the answer is empty")
    return Record(source, name, images, depths, texts)


def _load(record: Record, field: str, place: int, folder: Path) -> UInt8Array:
    names = record.images if field == "image" else record.depths
    try:
        if field == "image":
            return load_picture(folder / names[place])
        depth = load_depth(folder / names[place])
    except PictureError as error:
        raise RecordError(record.source, record.name, f"{field}[{place}]", str(error)) from error
    if depth.dtype != "uint8":
        raise RecordError(
            record.source,
            record.name,
            f"{field}[{place}]",
            f"'{names[place]}' is {depth.dtype}; relative depth of 8 bits is needed",
        )
    return depth.astype("uint8", copy=False)
