# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""RVL, the lossless code for depth of compressed_depth_image_transport.

Runs of zeros and of other values take turns; of the others the differences are written, the sign
in the lowest bit. All numbers are made of groups of three bits, the lowest first, four bits each
with a mark that says whether more follow (Wilson, "Fast lossless depth image compression", 2017).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# More groups than this make no number of 32 bits.
_MOST_GROUPS = 11


def decode_rvl(data: bytes | memoryview, count: int) -> npt.NDArray[np.uint16]:
    """Decode so many values.

    Args:
        data: Whole 32-bit words, little-endian.
        count: Values wanted.

    Returns:
        Shape (count,).

    Raises:
        ValueError: The data end early or say more than count.
    """
    numbers = _numbers(data)
    at, filled = 0, 0
    # Of the runs that are not zero: where they begin in numbers and in values, and their length.
    runs: list[tuple[int, int, int]] = []
    while filled < count:
        if at + 1 >= len(numbers):
            raise ValueError(f"it ends after {filled} of {count} values")
        zeros, others = int(numbers[at]), int(numbers[at + 1])
        at, filled = at + 2, filled + zeros
        if filled + others > count or at + others > len(numbers):
            raise ValueError(f"a run of {zeros} zeros and {others} values does not fit")
        if not zeros and not others:
            raise ValueError("a run is empty")
        runs.append((at, filled, others))
        at, filled = at + others, filled + others
    sources, targets, lengths = np.array(runs, np.int64).reshape(-1, 3).T
    # Where in its run each of the values is, counted over all runs.
    along = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    signed = numbers[np.repeat(sources, lengths) + along]
    values = np.zeros(count, np.uint16)
    values[np.repeat(targets, lengths) + along] = np.cumsum((signed >> 1) ^ -(signed & 1))
    return values


def _numbers(data: bytes | memoryview) -> npt.NDArray[np.int64]:
    """Put the groups of three bits together.

    Raises:
        ValueError: There are none, or one is too long.
    """
    # The highest four bits of a word come first.
    pairs = np.frombuffer(data, "<u4", len(data) // 4).astype(">u4").view(np.uint8)
    groups = np.stack([pairs >> 4, pairs & 15], axis=-1).ravel()
    ends = np.flatnonzero(groups < 8)
    if not len(ends):
        raise ValueError("it holds no numbers")
    begins = np.r_[0, ends[:-1] + 1]
    more = ends - begins
    if more.max() >= _MOST_GROUPS:
        raise ValueError("a number has too many bits")
    numbers = (groups[begins] & 7).astype(np.int64)
    longer = np.flatnonzero(more)
    place = 1
    while len(longer):
        numbers[longer] += (groups[begins[longer] + place] & 7).astype(np.int64) << (3 * place)
        place += 1
        longer = longer[more[longer] >= place]
    return numbers
