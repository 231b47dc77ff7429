# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `mock_robot`: referrer, arm and base in words, to try sentences within seconds.

It looks at no picture and moves nothing; see `roborefer_operator.testing`. The camera that it
publishes shows a square where a thing stands.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

import rclpy
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from roborefer_common.core.parameters import Row
from roborefer_common.declaring import declare, read
from roborefer_common.qos import EVENT, LATCHED, SENSOR_OUT
from roborefer_common.times import nanoseconds, time_to_msg
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool

from roborefer_msgs.action import GoTo, Pick, Place, Refer
from roborefer_msgs.msg import ErrorCode, HeldObject, Phase, Pixel, SpatialReference
from roborefer_operator.core.ports import Outcome, Pending, Reference, Wish
from roborefer_operator.mock_scene import (
    HEIGHT,
    WIDTH,
    draw,
    failing,
    marked,
    read_failures,
)
from roborefer_operator.testing import WordWorld

TABLE = (
    Row(
        "things", ["red mug", "blue mug", "green block", "plate"],
        "Names of what stands on the table, from left to right.", fixed=True,
    ),
    Row("motion_s", 0.5, "How long each motion takes.", 0.0, 60.0),
    Row("picture_rate", 5.0, "Pictures of the camera per second.", 0.1, 30.0),
    Row(
        "fails", [""],
        "What fails: `pick:208` is the first pick, `pick:208:3` the first three; `pick:reject` is"
        " the goal refused. Likewise refer, place and go_to; empty: nothing.", fixed=True,
    ),
)  # fmt: skip
_FRAME, _OPTICAL = "base_link", "camera_color_optical_frame"
_FOCAL_PX = 600.0
_LOOK_S = 0.02


class MockRobot(Node):
    """Serves `refer`, `pick`, `place`, `go_to`.

    Publishes `held_object`, `reference`, `reference_image`, `camera/color/image_raw`,
    `camera/color/camera_info` and `camera/aligned_depth_to_color/image_raw`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("mock_robot", **kwargs)
        declare(self, TABLE)
        values = read(self, TABLE)
        names = [str(name) for name in values["things"]]  # type: ignore[union-attr]
        step = WIDTH / (len(names) + 1)
        self.world = WordWorld(
            {name: (step * (i + 1), HEIGHT / 2) for i, name in enumerate(names)},
            looks=round(float(values["motion_s"]) / _LOOK_S),  # type: ignore[arg-type]
        )
        self.failures = read_failures([str(text) for text in values["fails"]])  # type: ignore[union-attr]
        self.world.fail = failing(self.failures)
        self._refused: dict[str, int] = {}
        self._lock = threading.Lock()
        self._look = threading.Event()
        self._stopped = False
        self._held_publisher = self.create_publisher(HeldObject, "held_object", LATCHED)
        self._reference_publisher = self.create_publisher(SpatialReference, "reference", EVENT)
        self.create_subscription(
            Bool, "stop", self._on_stop, LATCHED, callback_group=MutuallyExclusiveCallbackGroup()
        )
        self._color_publisher = self.create_publisher(Image, "camera/color/image_raw", SENSOR_OUT)
        self._depth_publisher = self.create_publisher(
            Image, "camera/aligned_depth_to_color/image_raw", SENSOR_OUT
        )
        self._info_publisher = self.create_publisher(
            CameraInfo, "camera/color/camera_info", SENSOR_OUT
        )
        self._reference_image = self.create_publisher(Image, "reference_image", EVENT)
        self.create_timer(
            1.0 / float(values["picture_rate"]), self._publish_pictures,  # type: ignore[arg-type]
            callback_group=MutuallyExclusiveCallbackGroup(),
        )  # fmt: skip
        group = ReentrantCallbackGroup()
        self._servers = [
            ActionServer(
                self, kind, name, execute, callback_group=group,
                goal_callback=self._decider(name),
                cancel_callback=lambda goal: CancelResponse.ACCEPT,
            )
            for kind, name, execute in (
                (Refer, "refer", self._refer),
                (Pick, "pick", self._pick),
                (Place, "place", self._place),
                (GoTo, "go_to", self._go_to),
            )
        ]  # fmt: skip
        self._publish_held()

    def _decider(self, name: str) -> Any:
        def decide(goal: Any) -> GoalResponse:
            self._refused[name] = self._refused.get(name, 0) + 1
            refused = any(
                not failure.code and failure.what == name and self._refused[name] <= failure.times
                for failure in self.failures
            )
            return GoalResponse.REJECT if refused else GoalResponse.ACCEPT

        return decide

    def _publish_pictures(self) -> None:
        with self._lock:
            rgb, depth = draw(self.world.things)
            self.world.time_ns = self.get_clock().now().nanoseconds
            stamp_ns = self.world.time_ns
        self._color_publisher.publish(_image(rgb, "rgb8", stamp_ns))
        self._depth_publisher.publish(_image(depth, "16UC1", stamp_ns))
        k = [_FOCAL_PX, 0.0, WIDTH / 2, 0.0, _FOCAL_PX, HEIGHT / 2, 0.0, 0.0, 1.0]
        info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model="plumb_bob", k=k)
        info.d = [0.0] * 5
        info.header.stamp, info.header.frame_id = time_to_msg(stamp_ns), _OPTICAL
        self._info_publisher.publish(info)

    def _on_stop(self, message: Bool) -> None:
        self._stopped = message.data

    def _refer(self, handle: Any) -> Refer.Result:
        goal = handle.request
        pixel = (goal.pixel.u, goal.pixel.v) if goal.use_pixel else None
        self._publish_pictures()
        with self._lock:
            rgb, _ = draw(self.world.things)
            outcome = self.world.refer(Wish(goal.instruction, pixel, goal.kind)).outcome()
        assert outcome is not None
        result = Refer.Result()
        result.references = [self._message(r, goal.instruction) for r in outcome.references]
        result.candidates = [
            self._message(r, goal.instruction, number)
            for number, r in enumerate(outcome.candidates, 1)
        ]
        for reference in result.references:
            self._reference_publisher.publish(reference)
        for shown in (*outcome.references, *outcome.candidates)[:1]:
            picture = marked(rgb, shown.pixel)
            self._reference_image.publish(_image(picture, "rgb8", shown.stamp_ns))
        return self._end(handle, result, outcome)

    def _pick(self, handle: Any) -> Pick.Result:
        goal = handle.request
        target = self._reference(goal.reference)
        return self._move(handle, Pick, self.world.pick(target, None, goal.plan_only))

    def _place(self, handle: Any) -> Place.Result:
        goal = handle.request
        where = self._reference(goal.reference)
        return self._move(handle, Place, self.world.place(where, goal.plan_only))

    def _go_to(self, handle: Any) -> GoTo.Result:
        target = self._reference(handle.request.reference)
        return self._move(handle, GoTo, self.world.go_to(target))

    def _move(self, handle: Any, kind: Any, pending: Pending) -> Any:
        while True:
            with self._lock:
                outcome = pending.outcome()
            if self._stopped:
                outcome = Outcome(int(ErrorCode.STOPPED), "the stop is set", int(Phase.STOPPING))
            if outcome is not None:
                break
            if handle.is_cancel_requested:
                pending.cancel()
            handle.publish_feedback(kind.Feedback(phase=int(Phase.MOVING)))
            self._look.wait(_LOOK_S)
        self._publish_held()
        result = kind.Result()
        if hasattr(result, "held_object"):
            result.held_object = self._held()
        return self._end(handle, result, outcome)

    def _end(self, handle: Any, result: Any, outcome: Outcome) -> Any:
        result.error_code, result.error_msg = outcome.code, outcome.message
        result.phase = int(Phase.DONE)
        if outcome.code == 0:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _reference(self, message: SpatialReference) -> Reference:
        return Reference(
            "", (message.pixel.u, message.pixel.v), nanoseconds(message.header.stamp),
            message.kind, message.label,
        )  # fmt: skip

    def _message(self, found: Reference, words: str, candidate: int = 0) -> SpatialReference:
        message = SpatialReference(
            instruction=words,
            kind=found.kind,
            candidate=candidate,
            label=found.label,
            pixel=Pixel(u=found.pixel[0], v=found.pixel[1]),
            image_width=WIDTH,
            image_height=HEIGHT,
            confidence=found.confidence,
            samples=1,
            samples_agreeing=1,
            model="mock",
        )
        message.id.uuid = list(uuid.uuid4().bytes)
        message.header.stamp = message.pose.header.stamp = time_to_msg(found.stamp_ns)
        message.header.frame_id = _OPTICAL
        message.pose.header.frame_id = _FRAME
        at = message.pose.pose.pose
        if found.position is not None:
            at.position.x, at.position.y, at.position.z = found.position
        at.orientation.w = 1.0
        return message

    def _held(self) -> HeldObject:
        message = HeldObject(held=bool(self.world.held), id=self.world.held, label=self.world.held)
        message.header.frame_id = "tool0"
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def _publish_held(self) -> None:
        self._held_publisher.publish(self._held())


def _image(pixels: Any, encoding: str, stamp_ns: int) -> Image:
    rows, columns = pixels.shape[:2]
    message = Image(width=columns, height=rows, encoding=encoding, step=pixels.strides[0])
    message.data = pixels.tobytes()
    message.header.stamp, message.header.frame_id = time_to_msg(stamp_ns), _OPTICAL
    return message


def main() -> None:
    """Run the node until it is told to end."""
    try:
        with rclpy.init():
            node = MockRobot()
            executor = MultiThreadedExecutor(num_threads=4)
            executor.add_node(node)
            try:
                executor.spin()
            finally:
                node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
