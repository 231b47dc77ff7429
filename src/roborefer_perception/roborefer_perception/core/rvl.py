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

# More groups than this make no number that belongs to 16 bits.
_MOST_GROUPS = 8


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
    words = np.frombuffer(data, "<u4", len(data) // 4)
    # The highest four bits of a word come first.
    groups = ((words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 15).ravel()
    ends = np.flatnonzero(groups < 8)
    if not len(ends):
        raise ValueError("it holds no numbers")
    begins = np.r_[0, ends[:-1] + 1]
    if (ends - begins).max() >= _MOST_GROUPS:
        raise ValueError("a number has too many bits")
    groups = groups[: ends[-1] + 1].astype(np.int64)
    place = np.arange(len(groups)) - np.repeat(begins, ends - begins + 1)
    numbers = np.add.reduceat((groups & 7) << (3 * place), begins)

    at, filled = 0, 0
    targets, sources = [], []
    while filled < count:
        if at + 1 >= len(numbers):
            raise ValueError(f"it ends after {filled} of {count} values")
        zeros, others = int(numbers[at]), int(numbers[at + 1])
        at, filled = at + 2, filled + zeros
        if filled + others > count or at + others > len(numbers):
            raise ValueError(f"a run of {zeros} zeros and {others} values does not fit")
        if not zeros and not others:
            raise ValueError("a run is empty")
        targets.append(np.arange(filled, filled + others))
        sources.append(numbers[at : at + others])
        at, filled = at + others, filled + others
    values = np.zeros(count, np.uint16)
    signed = np.concatenate(sources)
    differences = (signed >> 1) ^ -(signed & 1)
    values[np.concatenate(targets)] = np.cumsum(differences).astype(np.uint16)
    return values
