# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What came from a camera, not decoded before it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from roborefer_common.core.pictures import Depth, Rgb

from roborefer_perception.core.camera import Camera
from roborefer_perception.core.types import RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Arrived(Generic[_T]):
    """A message that came, with what makes something of it when that is wanted.

    Attributes:
        stamp_ns: When it was taken.
        frame_id: Its frame.
        decode: Makes something of it; raises ReferFailure.
        size: Width and height; None when only decoding tells.
    """

    stamp_ns: int
    frame_id: str
    decode: Callable[[], _T]
    size: tuple[int, int] | None = None


class RawFrame:
    """Colour with its depth, not decoded yet. Usable from any thread."""

    def __init__(
        self,
        color: Arrived[Rgb],
        depth: Arrived[Depth],
        camera_of: Callable[[int, tuple[int, int]], Camera],
    ) -> None:
        """Pair two pictures.

        Args:
            color: The colour image.
            depth: Its depth image.
            camera_of: The camera of the images of a stamp and a size; raises ReferFailure.
        """
        self.stamp_ns, self.frame_id = color.stamp_ns, color.frame_id
        self.skew_s = (depth.stamp_ns - color.stamp_ns) * 1e-9
        self._parts: tuple[Arrived[Rgb], Arrived[Depth]] | None = (color, depth)
        self._camera_of = camera_of
        self._lock = threading.Lock()
        self._decoded: RgbdFrame | ReferFailure | None = None

    def decoded(self) -> RgbdFrame:
        """Return the pictures, decoded by the first call.

        Raises:
            ReferFailure: UNSUPPORTED_IMAGE, INVALID_INTRINSICS or NO_CAMERA_INFO.
        """
        with self._lock:
            if self._decoded is None:
                try:
                    self._decoded = self._decode()
                except ReferFailure as failure:
                    if failure.reason is Reason.NO_CAMERA_INFO:
                        # It may come later.
                        raise
                    self._decoded = failure
                # What was decoded need not be kept twice.
                self._parts = None
            if isinstance(self._decoded, ReferFailure):
                # A new one for each caller: exceptions collect tracebacks while they travel.
                raise ReferFailure(self._decoded.reason, str(self._decoded))
            return self._decoded

    def _decode(self) -> RgbdFrame:
        assert self._parts is not None
        color, depth = self._parts
        if color.frame_id != depth.frame_id:
            raise ReferFailure(
                Reason.UNSUPPORTED_IMAGE,
                f"the depth image is in the frame '{depth.frame_id}', the colour image in"
                f" '{color.frame_id}'; use depth that is aligned to colour",
            )
        rgb = color.decode()
        size = (rgb.shape[1], rgb.shape[0])
        camera = self._camera_of(color.stamp_ns, size)
        depth_m = depth.decode()
        if depth_m.shape != rgb.shape[:2]:
            raise ReferFailure(
                Reason.UNSUPPORTED_IMAGE,
                f"the depth image is {depth_m.shape[1]} x {depth_m.shape[0]}, the colour image"
                f" {size[0]} x {size[1]}; use depth that is aligned to colour",
            )
        return RgbdFrame(self.stamp_ns, self.frame_id, rgb, depth_m, camera, self.skew_s)
