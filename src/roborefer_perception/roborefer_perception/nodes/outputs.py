# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What the referrer publishes about a query that ended."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from roborefer_common.qos import EVENT, LATCHED
from sensor_msgs.msg import CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from roborefer_msgs.msg import SpatialReference
from roborefer_perception.conversions import (
    header_of,
    image_to_msg,
    jpeg_to_msg,
    markers_to_msg,
)
from roborefer_perception.core.annotate import Mark, annotate
from roborefer_perception.core.query import Found
from roborefer_perception.nodes.inquiry import Record


class Outputs:
    """The topics `reference`, `reference_pose`, `reference_image` and `reference_markers`."""

    def __init__(self, node: LifecycleNode) -> None:
        self._reference = node.create_publisher(SpatialReference, "reference", EVENT)
        self._pose = node.create_publisher(PoseWithCovarianceStamped, "reference_pose", EVENT)
        self._image = node.create_publisher(Image, "reference_image", EVENT)
        self._jpeg = node.create_publisher(CompressedImage, "reference_image/compressed", EVENT)
        self._markers = node.create_publisher(MarkerArray, "reference_markers", LATCHED)
        self._lock = threading.Lock()
        self._newest = 0.0

    def publish(self, record: Record, references: Sequence[SpatialReference]) -> None:
        """Publish what came of a query, and the annotated picture where somebody looks.

        Args:
            record: A query that ended.
            references: Those that it found, or the candidates of one that failed.
        """
        if record.failure is None:
            for reference in references:
                self._reference.publish(reference)
            self._pose.publish(references[0].pose)
        with self._lock:
            # Of two queries at once, the markers of the one that began later stay.
            if record.begin >= self._newest:
                self._newest = record.begin
                self._markers.publish(markers_to_msg(references))
        raw = self._image.get_subscription_count() > 0
        jpeg = self._jpeg.get_subscription_count() > 0
        frame = record.frame
        if frame is None or not (raw or jpeg):
            return
        marks = [
            Mark(found.pixel, found.place, found.number, _text(found)) for found in record.found
        ]
        words = record.wish.words if record.wish else ""
        refused = str(record.failure or "")
        picture = annotate(frame.rgb, frame.camera, marks, words, refused)
        if raw:
            self._image.publish(image_to_msg(picture, header_of(frame)))
        if jpeg:
            self._jpeg.publish(jpeg_to_msg(picture, header_of(frame)))


def _text(found: Found) -> str:
    return f"{found.label} {100 * found.confidence:.0f} %".strip()
