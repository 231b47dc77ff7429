# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the executive listens to for records and samples, and the service that corrects."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as NoAnswerError
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value
from roborefer_common.core.pictures import RawPicture
from roborefer_common.pictures import picture_from_msg
from roborefer_common.qos import EVENT, SENSOR_IN
from sensor_msgs.msg import Image

from roborefer_msgs.msg import SpatialReference
from roborefer_msgs.srv import CorrectReference
from roborefer_operator.conversions import (
    code_of,
    correction_from_msg,
    details_of,
    reference_from_msg,
)
from roborefer_operator.core.parameters import recorder_of
from roborefer_operator.core.pictures import Frame
from roborefer_operator.core.recorder import Recorder
from roborefer_operator.core.tasks import TaskRun
from roborefer_operator.exceptions import Reason, TaskFailure

# Depth taken this far from colour shows the same scene, nanoseconds.
_SKEW_NS = 30_000_000
# Longest wait until a sample is written, seconds.
_SAVING_S = 5.0


class Frames:
    """The newest pictures of the camera by stamp; decoded only when somebody wants one.

    While the referrer looks at a picture, which it chose before, no newer one pushes it out.
    """

    def __init__(self, most: int, frozen: Callable[[], bool]) -> None:
        """Begin without pictures.

        Args:
            most: Pictures that are remembered.
            frozen: Whether the ones that are here have to stay.
        """
        self._most, self._frozen = most, frozen
        self._lock = threading.Lock()
        self._color: OrderedDict[int, RawPicture] = OrderedDict()
        self._depth: OrderedDict[int, RawPicture] = OrderedDict()

    def add(self, picture: RawPicture, is_depth: bool) -> None:
        """Take a picture."""
        kept = self._depth if is_depth else self._color
        with self._lock:
            if len(kept) >= self._most and self._frozen():
                return
            kept[picture.stamp_ns] = picture
            while len(kept) > self._most:
                kept.popitem(last=False)

    def at(self, stamp_ns: int) -> Frame | None:
        """Return what was seen at a stamp; None where that is not known (any more)."""
        with self._lock:
            color = self._color.get(stamp_ns)
            if color is None:
                return None
            nearest = min(self._depth, key=lambda stamp: abs(stamp - stamp_ns), default=None)
            if nearest is None or abs(nearest - stamp_ns) > _SKEW_NS:
                return Frame(color)
            return Frame(color, self._depth[nearest])


class Recording:
    """Keeps records and samples of a node, if its parameters ask for any.

    Subscribes to `reference`, `reference_image`, `camera/color/image_raw` and
    `camera/aligned_depth_to_color/image_raw`, only while something is kept.
    """

    def __init__(
        self, node: LifecycleNode, values: Mapping[str, Value], looking: Callable[[], bool]
    ) -> None:
        """Begin.

        Args:
            node: Whose records they are.
            values: Of its parameters.
            looking: Whether the referrer looks at a picture now.
        """
        self._node = node
        self._subscriptions: list[Any] = []
        self._recorder: Recorder | None = None
        settings = recorder_of(values)
        if settings.records is None and settings.samples is None:
            return
        self._frames = Frames(int(values["records.frames"]), looking)  # type: ignore[arg-type]
        self._recorder = recorder = Recorder(
            settings, self._frames.at, details_of, node.get_logger().error
        )
        # One for all: each only puts something aside.
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, call, qos in (
            (Image, "camera/color/image_raw", self._on_color, SENSOR_IN),
            (Image, "camera/aligned_depth_to_color/image_raw", self._on_depth, SENSOR_IN),
            (Image, "reference_image", lambda m: recorder.annotated(picture_from_msg(m)), EVENT),
            (
                SpatialReference, "reference",
                lambda m: recorder.found(reference_from_msg(m)), EVENT,
            ),
        ):  # fmt: skip
            self._subscriptions.append(
                node.create_subscription(kind, name, call, qos, callback_group=group)
            )

    def close(self) -> None:
        """Write what waits, and listen to nothing more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._recorder is not None:
            self._recorder.close()

    def told(self, task: TaskRun) -> None:
        """Take a task as it stands; it must not change during this call."""
        if self._recorder is not None:
            self._recorder.told(task)

    def correct(
        self, request: CorrectReference.Request, response: CorrectReference.Response
    ) -> CorrectReference.Response:
        """Serve `correct_reference`; waits until the sample is written."""
        try:
            if self._recorder is None:
                raise TaskFailure(
                    Reason.NOT_SUPPORTED,
                    "no samples are kept; set the parameter records.folder or samples.folder",
                )
            future = self._recorder.correct(correction_from_msg(request))
            response.sample_id = future.result(_SAVING_S)
        except TaskFailure as error:
            response.error_code, response.error_msg = code_of(error.reason), str(error)
        except NoAnswerError:
            response.error_code = code_of(Reason.TIMEOUT)
            response.error_msg = f"the sample was not written within {_SAVING_S:g} s"
        response.accepted = not response.error_code
        return response

    def _on_color(self, message: Image) -> None:
        self._frames.add(picture_from_msg(message), is_depth=False)

    def _on_depth(self, message: Image) -> None:
        self._frames.add(picture_from_msg(message), is_depth=True)
