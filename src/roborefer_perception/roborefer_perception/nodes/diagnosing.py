# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells on `diagnostics` how camera, referring server and queries do."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.lifecycle import LifecycleNode
from roborefer_common.core.parameters import Value
from roborefer_common.qos import EVENT

from roborefer_perception.core.breaker import State
from roborefer_perception.core.model_client import ModelClient
from roborefer_perception.nodes.following import Following
from roborefer_perception.nodes.inquiry import Record
from roborefer_perception.nodes.intake import Intake


class Diagnosing:
    """Publishes regularly.

    Attributes:
        last: The query that ended last.
    """

    def __init__(
        self,
        node: LifecycleNode,
        values: Mapping[str, Value],
        intake: Intake,
        client: ModelClient,
        following: Following,
    ) -> None:
        self._node, self._intake, self._client = node, intake, client
        self._following = following
        self._stale_s = float(values["query.max_image_age_s"])
        self._url = str(values["model.url"])
        self.last: Record | None = None
        self._publisher = node.create_publisher(DiagnosticArray, "diagnostics", EVENT)
        self._timer = node.create_timer(float(values["diagnostics.period_s"]), self._publish)

    def close(self) -> None:
        """End; nothing is published any more."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        array = DiagnosticArray(status=[self._camera(), self._model(), self._queries()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _camera(self) -> DiagnosticStatus:
        health = self._intake.health()
        values: dict[str, object] = {}
        missing = []
        for name in ("color", "depth", "info", "frames"):
            stream = getattr(health, name)
            values[f"{name}_hz"] = f"{stream.rate_hz:.1f}"
            values[f"{name}_age_s"] = "" if stream.age_s is None else f"{stream.age_s:.3f}"
            if stream.age_s is None or stream.age_s > self._stale_s:
                missing.append(name)
        values["skew_s"] = "" if health.skew_s is None else f"{health.skew_s:.4f}"
        values["kept"] = health.kept
        values |= {f"dropped: {why}": count for why, count in sorted(health.dropped.items())}
        message = f"nothing recent of: {', '.join(missing)}" if missing else "images come"
        return self._status("camera", bool(missing), message, values)

    def _model(self) -> DiagnosticStatus:
        state = self._client.breaker.state
        closed = state is State.CLOSED
        message = "not known to be away" if closed else "it failed lately and is left alone"
        return self._status(
            "referring server", not closed, message, {"url": self._url, "breaker": state.value}
        )

    def _queries(self) -> DiagnosticStatus:
        last = self.last
        values: dict[str, object] = {"following": self._following.active}
        if last is None:
            return self._status("queries", False, "none yet", values)
        values |= {"total_s": f"{last.total_s:.3f}", "phase": last.phase}
        if last.failure is None:
            return self._status("queries", False, f"{len(last.found)} found", values)
        return self._status(
            "queries", True, f"{last.failure.reason.value}: {last.failure}", values
        )

    def _status(
        self, about: str, bad: bool, message: str, values: Mapping[str, object]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            name=f"{self._node.get_name()}: {about}",
            level=DiagnosticStatus.WARN if bad else DiagnosticStatus.OK,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
