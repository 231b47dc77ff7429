# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut pictures into the square tiles that the towers take.

Bit-equal to what the released weights were trained on, which includes the order of the two passes
of Pillow's resize before version 13. Needs numpy, Pillow, OpenCV and torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from PIL import Image

from roborefer_vlm.exceptions import CheckpointError, PictureError
from roborefer_vlm.model.configuration import DYNAMIC, DYNAMIC_S2, RoboReferConfig
from roborefer_vlm.model.inputs import PictureBlock
from roborefer_vlm.model.json_fields import Fields, read_json
from roborefer_vlm.model.pictures import MOST_SIDE
from roborefer_vlm.types import FloatArray, UInt8Array

PAD = "pad"
_CHANNELS = 3


@dataclass(frozen=True, eq=False)
class _Job:
    """One colour of one grid of a picture; `out` has the shape (rows * cols, 3, size, size)."""

    band: Image.Image
    rows: int
    cols: int
    resample: Image.Resampling
    channels: tuple[int, ...]
    out: FloatArray


@dataclass(frozen=True, eq=False)
class Tiling:
    """How a checkpoint wants its pictures.

    Attributes:
        mode: `dynamic` (grid of tiles and a thumbnail), `dynamic_s2` (the same picture at several
            scales), `pad` (padded to a square), or anything else: squeezed into one tile.
        size: Side of a tile in pixels.
        min_tiles: Fewest tiles of a `dynamic` grid.
        max_tiles: Most tiles of a grid; the thumbnail is not counted.
        scales: `dynamic_s2`: sides of the square that each scale resizes to, in units of `size`,
            ascending, from 1; the last one gives the fewest tiles of the largest grid.
        levels: Value of a pixel for the network, by channel and 8-bit value, shape (3, 256).
        padding: Grey of the border in `pad` mode, by channel.
        resample: Filter with which `pad` and the single tile are resized; the grids always use
            bicubic.
    """

    mode: str
    size: int
    min_tiles: int
    max_tiles: int
    scales: tuple[int, ...]
    levels: FloatArray
    padding: tuple[int, int, int]
    resample: Image.Resampling = Image.Resampling.BICUBIC

    @classmethod
    def from_config(cls, config: RoboReferConfig) -> Tiling:
        """Take the settings of a checkpoint and of its `vision_tower/preprocessor_config.json`.

        Raises:
            CheckpointError: They are missing or contradict each other.
        """
        if config.directory is None:
            raise CheckpointError("a configuration without directory has no picture settings")
        path = config.directory / "vision_tower" / "preprocessor_config.json"
        fields = Fields(str(path), read_json(path))
        size = _tile_size(fields)
        if size != config.vision.image_size:
            raise fields.error("size", size, f"{config.vision.image_size}, as the tower takes,")
        mean, std = _channels(fields, "image_mean"), _channels(fields, "image_std")
        if min(std) <= 0:
            raise fields.error("image_std", std, "values above 0")
        # In double, then rounded, as the processors of transformers do; the rest is in float32.
        unit = np.arange(256) * fields.number("rescale_factor", 1 / 255)
        shifted = unit.astype(np.float32) - np.array(mean, np.float32)[:, None]
        smallest = config.s2_scales[0] if config.s2_scales else size
        scales = tuple(scale // smallest for scale in config.s2_scales)
        if scales and scales[-1] ** 2 > config.max_tiles:
            raise CheckpointError(
                f"max_tiles is {config.max_tiles}; s2_scales {config.s2_scales} need at least"
                f" {scales[-1] ** 2}"
            )
        return cls(
            mode=config.picture_mode,
            size=size,
            min_tiles=config.min_tiles,
            max_tiles=config.max_tiles,
            scales=scales,
            levels=shifted / np.array(std, np.float32)[:, None],
            padding=(int(mean[0] * 255), int(mean[1] * 255), int(mean[2] * 255)),
            resample=_resample(fields),
        )

    def block(self, width: int, height: int) -> PictureBlock:
        """Tell into which tiles a picture of this size is cut."""
        if self.mode == DYNAMIC:
            rows, cols = closest_grid(width, height, self.min_tiles, self.max_tiles, self.size)
            tiles = rows * cols + (rows * cols > 1)
            return PictureBlock(tiles, tiles, rows, cols)
        if self.mode == DYNAMIC_S2:
            least = self.scales[-1] ** 2
            rows, cols = closest_grid(width, height, least, self.max_tiles, self.size)
            tiles = sum(k * k for k in self.scales[:-1]) + rows * cols
            return PictureBlock(tiles, 1, rows, cols)
        return PictureBlock(1, 1, 1, 1)

    def cut(self, pictures: Sequence[UInt8Array]) -> tuple[torch.Tensor, tuple[PictureBlock, ...]]:
        """Cut pictures into tiles.

        Args:
            pictures: uint8, each (height, width, 3) RGB, or (height, width) grey, which gives
                what three equal channels give.

        Returns:
            Tiles of all pictures one after the other, float32, shape (N, 3, size, size), and how
            each picture is laid out in them.

        Raises:
            PictureError: A picture has another dtype or shape.
        """
        return self.cut_groups(pictures)[0]

    def cut_groups(
        self, *groups: Sequence[UInt8Array]
    ) -> list[tuple[torch.Tensor, tuple[PictureBlock, ...]]]:
        """Cut several groups of pictures at once; see `cut`.

        The work is shared by as many threads as torch uses.
        """
        results = []
        jobs: list[_Job] = []
        for pictures in groups:
            for picture in pictures:
                _check(picture)
            blocks = tuple(self.block(picture.shape[1], picture.shape[0]) for picture in pictures)
            total = sum(block.tiles for block in blocks)
            tiles = torch.empty((total, _CHANNELS, self.size, self.size))
            out: FloatArray = tiles.numpy()
            first = 0
            for picture, block in zip(pictures, blocks, strict=True):
                jobs += self._jobs(picture, block, out[first : first + block.tiles])
                first += block.tiles
            results.append((tiles, blocks))
        threads = min(torch.get_num_threads(), len(jobs))
        if threads > 1:
            # Made for each call: a pool that is kept would not survive a fork of the program.
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(self._run, jobs))
        else:
            for job in jobs:
                self._run(job)
        return results

    def _jobs(self, picture: UInt8Array, block: PictureBlock, out: FloatArray) -> list[_Job]:
        """Divide one picture, whose tiles go to `out`, by grid and by colour."""
        image = Image.fromarray(picture)
        resample = Image.Resampling.BICUBIC
        if self.mode == DYNAMIC:
            grids = [(block.rows, block.cols)] + [(1, 1)] * (block.tiles > 1)
        elif self.mode == DYNAMIC_S2:
            grids = [(k, k) for k in self.scales[:-1]] + [(block.rows, block.cols)]
        else:
            image = self._pad(image) if self.mode == PAD else image
            grids = [(1, 1)]
            resample = self.resample
        bands = image.split()
        jobs, first = [], 0
        for rows, cols in grids:
            for number, band in enumerate(bands):
                channels = (number,) if len(bands) > 1 else tuple(range(_CHANNELS))
                part = out[first : first + rows * cols]
                jobs.append(_Job(band, rows, cols, resample, channels, part))
            first += rows * cols
        return jobs

    def _run(self, job: _Job) -> None:
        """Resize one colour, cut it row by row, and write the network's values."""
        size = self.size
        plane = np.asarray(job.band.resize((size * job.cols, size * job.rows), job.resample))
        for index in range(job.rows * job.cols):
            row, col = divmod(index, job.cols)
            tile = plane[row * size : (row + 1) * size, col * size : (col + 1) * size]
            for channel in job.channels:
                cv2.LUT(tile, self.levels[channel], dst=job.out[index, channel])

    def _pad(self, image: Image.Image) -> Image.Image:
        """Put a picture in the middle of a square of the mean colour."""
        side = max(image.size)
        square = Image.new("RGB", (side, side), self.padding)
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        return square


@lru_cache(maxsize=256)
def closest_grid(
    width: int, height: int, min_tiles: int, max_tiles: int, size: int
) -> tuple[int, int]:
    """Choose the grid whose shape is nearest to that of a picture.

    Of grids that are equally near the larger one wins if the picture has more than half of its
    pixels.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        min_tiles: Fewest tiles.
        max_tiles: Most tiles.
        size: Side of a tile, pixels.

    Returns:
        (rows, cols) of the grid.
    """
    wanted = width / height
    best, best_difference = (1, 1), float("inf")
    for rows, cols in _grids(min_tiles, max_tiles):
        difference = abs(wanted - cols / rows)
        half_filled = width * height > 0.5 * size * size * cols * rows
        if difference < best_difference or (difference == best_difference and half_filled):
            best, best_difference = (rows, cols), difference
    return best


@lru_cache(maxsize=16)
def _grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """Return all (rows, cols) with so many tiles, small grids first."""
    sides = range(1, max_tiles + 1)
    grids = [(r, c) for r in sides for c in sides if min_tiles <= r * c <= max_tiles]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def _check(picture: UInt8Array) -> None:
    channels = picture.shape[2:] if picture.ndim in (2, 3) else None
    if picture.dtype != np.uint8 or channels not in ((), (_CHANNELS,)) or not picture.size:
        raise PictureError(
            f"picture is {picture.dtype} {picture.shape};"
            " uint8 (height, width, 3) or (height, width) is needed"
        )
    if max(picture.shape) > MOST_SIDE:
        raise PictureError(f"picture is {picture.shape}; {MOST_SIDE} pixels to a side are allowed")


def _tile_size(fields: Fields) -> int:
    """Read the side of a tile: `crop_size` or `size`, of a square."""
    for key in ("crop_size", "size"):
        value = fields.values.get(key)
        if isinstance(value, int):
            return value
        if isinstance(value, dict):
            inner = Fields(f"{fields.source}, {key}", value)
            if inner.integer("height") != inner.integer("width"):
                raise fields.error(key, value, "a square")
            return inner.integer("height")
    raise CheckpointError(f"{fields.source}: 'size' is missing")


def _channels(fields: Fields, key: str) -> list[float]:
    value = fields.values.get(key)
    if (
        not isinstance(value, list)
        or len(value) != _CHANNELS
        or not all(isinstance(entry, int | float) for entry in value)
    ):
        raise fields.error(key, value, "a list of 3 numbers")
    return [float(entry) for entry in value]


def _resample(fields: Fields) -> Image.Resampling:
    value = fields.integer("resample", int(Image.Resampling.BICUBIC), least=0)
    try:
        return Image.Resampling(value)
    except ValueError:
        raise fields.error("resample", value, "a filter of Pillow, 0 to 5,") from None
