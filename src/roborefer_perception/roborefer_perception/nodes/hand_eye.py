# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The executable `hand_eye`: finds out where a camera sits, from looks at a ChArUco board."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from roborefer_common.core.pictures import Rgb
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import SENSOR_IN, SENSOR_OUT
from roborefer_common.times import nanoseconds
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_ros import Buffer, TransformException, TransformListener

from roborefer_perception.conversions import image_to_msg
from roborefer_perception.core.annotate import annotate
from roborefer_perception.core.board import Board, Sight, find_board, marked
from roborefer_perception.core.board_print import write_board
from roborefer_perception.core.camera import Array, Camera
from roborefer_perception.core.hand_eye import Mount, Sample, calibrate
from roborefer_perception.core.hand_eye_report import command, launch_lines, table, yaml_text
from roborefer_perception.core.hand_eye_session import Session, SessionSettings
from roborefer_perception.exceptions import CalibrationError, ReferFailure
from roborefer_perception.image_conversions import (
    camera_from_msg,
    color_from_msg,
    pose_from_transform,
)
from roborefer_perception.nodes.hand_eye_parameters import TABLE

# A message of the future by more than this comes from a clock that disagrees, seconds.
_FUTURE_S = 0.1


class HandEye(Node):
    """Takes samples, and calculates the pose of the camera from them.

    Subscribes `camera/color/image_raw` and `camera/color/camera_info`, and TF from the base to the
    tool at the images' stamps. Publishes `calibration_image`: the picture with the board's corners
    and what is to be done. Services (std_srvs/Trigger): `take_sample`, `remove_last_sample`,
    `calibrate`. Parameters: `hand_eye_parameters.TABLE`.
    """

    def __init__(self, auto: bool = False, **node_arguments: object) -> None:
        """Declare parameters and offer the services.

        Args:
            auto: Whether samples are taken whenever the board stands still at a new place.
            node_arguments: Of rclpy's Node.

        Raises:
            ParameterError: A parameter has a value that the table does not allow.
            CalibrationError: The board cannot be, or OpenCV has no ArUco module.
        """
        super().__init__("hand_eye", **node_arguments)
        declare(self, TABLE)
        self._values = read(self, TABLE)
        self._auto = auto
        self._mount = Mount(str(self._values["mount"]))
        self.board = Board(**self._group("board."))
        names = SessionSettings.__dataclass_fields__
        settings = {k: v for k, v in self._group("samples.").items() if k in names}
        self._session = Session(SessionSettings(**settings))
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._frame = ""
        self._problem = f"no image has come on {self.resolve_topic_name('camera/color/image_raw')}"
        self._changed = threading.Condition()
        self._buffer = Buffer(node=self)
        self._listener = TransformListener(self._buffer, self)
        self._pictures = self.create_publisher(Image, "calibration_image", SENSOR_OUT)
        arriving, working = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        for kind, topic, call in (
            (Image, "camera/color/image_raw", self._on_image),
            (CameraInfo, "camera/color/camera_info", self._on_info),
        ):
            self.create_subscription(kind, topic, call, SENSOR_IN, callback_group=arriving)
        # One group for all that touches the samples, so that they need no lock.
        for name, act in (
            ("take_sample", self._take),
            ("remove_last_sample", self._remove_last),
            ("calibrate", self._calibrate),
        ):
            self.create_service(Trigger, name, self._answer(act), callback_group=working)
        period_s = 1.0 / float(self._values["looks_per_s"])
        self.create_timer(period_s, self._look, callback_group=working)

    def _group(self, prefix: str) -> dict[str, object]:
        return {
            name.removeprefix(prefix): value
            for name, value in self._values.items()
            if name.startswith(prefix)
        }

    # --- looking ------------------------------------------------------------------------------
    def _on_image(self, message: Image) -> None:
        self._image = message

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _look(self) -> None:
        """Search the newest picture for the board; in auto mode, take it as a sample."""
        image, self._image = self._image, None
        if image is None:
            return
        stamp_ns, self._frame = nanoseconds(image.header.stamp), image.header.frame_id
        try:
            if self._info is None:
                topic = self.resolve_topic_name("camera/color/camera_info")
                raise CalibrationError(f"no intrinsics have come on {topic}; start the camera")
            camera = camera_from_msg(self._info)
            rgb = color_from_msg(image).decode()
        except (CalibrationError, ReferFailure) as error:
            self._session.see(stamp_ns, None)
            self._problem = str(error)
            self.get_logger().warning(self._problem, throttle_duration_sec=5.0)
            return
        sight, said = None, ""
        try:
            sight = find_board(self.board, rgb, camera)
        except CalibrationError as error:
            self._problem = str(error)
        self._session.see(stamp_ns, sight)
        if sight is not None and self._auto:
            try:
                said = self._take(check_new=True)
                self.get_logger().info(said)
            except CalibrationError as error:
                said = str(error)
        self._show(image, rgb, camera, sight, said or ("" if sight else self._problem))

    def _show(
        self, image: Image, rgb: Rgb, camera: Camera, sight: Sight | None, said: str
    ) -> None:
        if not self._pictures.get_subscription_count():
            return
        words = f"samples: {len(self._session.samples)}"
        if sight is not None:
            words += f", board seen, error {sight.error_px:.2f} px"
        picture = annotate(marked(rgb, sight), camera, (), words, said)
        self._pictures.publish(image_to_msg(picture, image.header))

    # --- services -----------------------------------------------------------------------------
    def _answer(
        self, act: Callable[[], str]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        """Make a service's callback of what returns a message or raises CalibrationError."""

        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = act(), True
                self.get_logger().info(response.message)
            except CalibrationError as error:
                response.message = str(error)
                self.get_logger().warning(response.message)
            return response

        return answer

    def _take(self, check_new: bool = False) -> str:
        session = self._session
        if session.sight is None:
            raise CalibrationError(self._problem)
        age_s = (self.get_clock().now().nanoseconds - session.stamp_ns) * 1e-9
        most_s = float(self._values["max_image_age"])
        if not -_FUTURE_S <= age_s <= most_s:
            raise CalibrationError(
                f"the newest image is {age_s:.2f} s old, 0 to {most_s:g} s are allowed; look at"
                " the camera and the clocks"
            )
        sight = session.steady()
        t_base_tool = self._transform(
            str(self._values["base_frame"]), str(self._values["tool_frame"]), session.stamp_ns
        )
        if check_new:
            session.check_new(t_base_tool)
        session.samples.append(Sample(t_base_tool, sight))
        return (
            f"sample {len(session.samples)}: {len(sight.points)} corners, error"
            f" {sight.error_px:.2f} px"
        )

    def _remove_last(self) -> str:
        if not self._session.samples:
            raise CalibrationError("there is no sample to remove")
        self._session.samples.pop()
        return f"{len(self._session.samples)} samples are left"

    def _calibrate(self) -> str:
        found = calibrate(
            self._session.samples, self._mount, int(self._values["samples.least"]),
            float(self._values["most_mismatch_mm"]),
        )  # fmt: skip
        in_hand = self._mount is Mount.EYE_IN_HAND
        parent = str(self._values["tool_frame" if in_hand else "base_frame"])
        child = str(self._values["camera_frame"]) or self._frame
        pose = found.t_holder_camera
        if child != self._frame:
            pose = pose @ self._transform(self._frame, child, 0)
        publish = (
            f"{table(found)}\n{command(pose, parent, child)}\n{launch_lines(pose, parent, child)}"
        )
        self.get_logger().info(publish)
        path = self._write(yaml_text(found, pose, parent, child))
        bad = sum(not residual.used for residual in found.residuals)
        return (
            f"pose of {child} in {parent} from {len(found.residuals) - bad} samples ({bad}"
            f" outliers), uncertain by {found.uncertainty_mm:.2f} mm and"
            f" {found.uncertainty_deg:.3f} degrees, written to {path}; publish it with:"
            f" {command(pose, parent, child)}"
        )

    def _write(self, text: str) -> Path:
        path = Path(str(self.get_parameter("output.file").value)).expanduser().absolute()
        may = bool(self.get_parameter("output.overwrite").value)
        try:
            with path.open("w" if may else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise CalibrationError(
                f"calibrated, but {path} exists and was left alone; set output.file to another"
                " name or output.overwrite to true, and call calibrate again"
            ) from error
        except OSError as error:
            raise CalibrationError(
                f"calibrated, but not written: {error}; set output.file, and call calibrate again"
            ) from error
        return path

    def _transform(self, parent: str, child: str, stamp_ns: int) -> Array:
        """Pose of a child in a parent frame at a stamp; 0 is the newest, for fixed frames."""
        time = Time(nanoseconds=stamp_ns, clock_type=self.get_clock().clock_type)
        patience = Patience(self.get_clock(), float(self._values["tf_timeout"]))
        known = lambda: self._buffer.can_transform(parent, child, time)  # noqa: E731
        wait_until(known, patience, self._changed)
        try:
            found = self._buffer.lookup_transform(parent, child, time, Duration())
        except TransformException as error:
            raise CalibrationError(
                f"TF from '{parent}' to '{child}' at the image's stamp is not known: {error};"
                " start the robot's driver, or correct base_frame, tool_frame and camera_frame"
            ) from error
        return pose_from_transform(found.transform)


def main() -> int:
    """Run the node; 1 when its parameters do not allow it."""
    parser = argparse.ArgumentParser(prog="hand_eye", description=HandEye.__doc__)
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--auto", action="store_true", help="take samples without being asked")
    modes.add_argument("--manual", action="store_true", help="only when asked; the default")
    parser.add_argument("--print", type=Path, metavar="FILE", help="write the board and end")
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    with rclpy.init(args=sys.argv):
        try:
            node = HandEye(args.auto)
            if args.print:
                write_board(node.board, args.print)
                node.get_logger().info(f"wrote {args.print}; print it without scaling")
                return 0
        except (CalibrationError, ParameterError, ParameterException, ValueError) as error:
            print(f"hand_eye: {error}", file=sys.stderr)
            return 1
        # One thread takes messages while the other works on a sample, one more serves TF.
        executor = MultiThreadedExecutor(num_threads=3)
        try:
            rclpy.spin(node, executor=executor)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            executor.shutdown()
            node.destroy_node()
    return 0
