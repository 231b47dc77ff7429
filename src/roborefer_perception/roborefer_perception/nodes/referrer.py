# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The `referrer` node: from words, or a click, to places in the world."""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from roborefer_common.core.parameters import Value
from roborefer_common.declaring import declare, read
from roborefer_common.exceptions import ParameterError
from roborefer_common.patience import Patience, wait_until
from roborefer_common.qos import EVENT
from roborefer_common.times import duration_to_msg
from std_msgs.msg import String
from std_srvs.srv import Trigger

from roborefer_msgs.action import Refer
from roborefer_msgs.msg import SpatialReference
from roborefer_perception.conversions import code_of, reference_to_msg, step_to_msg, wish_from_goal
from roborefer_perception.core.answers import Step, clean
from roborefer_perception.core.frames import Policy
from roborefer_perception.core.model_client import ModelClient
from roborefer_perception.core.parameters import TABLE, Settings, settings_of
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.nodes.diagnosing import Diagnosing
from roborefer_perception.nodes.following import Check, Following, Referred
from roborefer_perception.nodes.inquiry import Inquirer, Record, Tell
from roborefer_perception.nodes.intake import Intake
from roborefer_perception.nodes.outputs import Outputs

# A query blocks one thread of the executor; the others serve callbacks meanwhile.
_THREADS = 8
# Results are kept so long for who asks late; the usual quarter of an hour would be megabytes.
_KEEP_RESULT_S = 30
# Deactivation waits this long for queries to notice.
_END_S = 5.0


class Referrer(LifecycleNode):
    """Serves the action `refer`.

    Subscribes, while active, to the topics of `Intake` and to `instruction`, whose words start a
    query with a default goal; a newer instruction takes over from an older one. Publishes
    `reference`, `reference_pose`, `reference_image`, `reference_image/compressed`,
    `reference_markers` (latched), `tracked_reference` and `diagnostics`. Offers the service
    `stop_following`. Parameters: config/referrer.yaml, made from core/parameters.py.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("referrer", **kwargs)
        declare(self, TABLE)
        self._active = False
        self._lock = threading.Lock()
        self._running: set[Record] = set()
        # Number of the newest instruction, and what the one that is answered holds.
        self._instruction, self._answering = 0, threading.Lock()
        self._values: dict[str, Value] = {}
        self._settings: Settings | None = None
        self._client: ModelClient | None = None
        self._intake: Intake | None = None
        self._following: Following | None = None
        self._diagnosing: Diagnosing | None = None
        self._outputs = Outputs(self)
        self._subscription = None
        self._group = ReentrantCallbackGroup()
        # One after the other, so that the newest is the newest.
        self._spoken = MutuallyExclusiveCallbackGroup()
        self._server = ActionServer(
            self, Refer, "refer", self._execute, callback_group=self._group,
            cancel_callback=lambda goal: CancelResponse.ACCEPT, result_timeout=_KEEP_RESULT_S,
        )  # fmt: skip
        self.create_service(
            Trigger, "stop_following", self._on_stop_following, callback_group=self._group
        )

    # --- lifecycle ----------------------------------------------------------------------------
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check parameters."""
        try:
            self._values = read(self, TABLE)
            self._settings = settings_of(self._values)
            self._client = ModelClient(self._settings.model)
        except ParameterError as error:
            self.get_logger().error(f"cannot be configured: {error}")
            return TransitionCallbackReturn.FAILURE
        self._intake = Intake(self, self._values)
        self._following = Following(
            self, self._intake, self._settings.following, self._settings.calibration
        )
        self._diagnosing = Diagnosing(
            self, self._values, self._intake, self._client, self._following
        )
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera and take queries from now on."""
        assert self._intake is not None
        self._intake.start()
        self._subscription = self.create_subscription(
            String, "instruction", self._on_instruction, EVENT, callback_group=self._spoken
        )
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all queries and listen to nothing."""
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget everything."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End all queries and forget everything."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget everything after a defect in one of the above; the node is unconfigured then."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """End all queries and forget everything. Calling it twice is allowed."""
        self._rest()
        self._release()

    def _rest(self) -> None:
        self._active = False
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._intake is None or self._following is None:
            return
        patience = Patience(self.get_clock(), _END_S)
        if not wait_until(lambda: not self._running, patience, self._intake.changed):
            self.get_logger().error("a query did not end in time; its result is late")
        self._following.stop()
        self._intake.stop()

    def _release(self) -> None:
        for part in (self._following, self._diagnosing, self._client):
            if part is not None:
                part.close()
        self._following = self._diagnosing = self._client = None
        self._intake = self._settings = None

    # --- queries ------------------------------------------------------------------------------
    def _execute(self, handle: ServerGoalHandle) -> Refer.Result:
        def halted() -> None:
            if handle.is_cancel_requested:
                raise ReferFailure(Reason.CANCELED, "the query was canceled on request")

        begin = monotonic()

        def tell(phase: int, steps: Sequence[Step]) -> None:
            handle.publish_feedback(
                Refer.Feedback(
                    phase=phase,
                    reasoning=[step_to_msg(step) for step in steps],
                    elapsed=duration_to_msg(monotonic() - begin),
                )
            )

        record, references = self._run(handle.request, halted, tell)
        result = Refer.Result(phase=record.phase)
        if record.failure is None:
            result.references = references
            self._conclude(handle.succeed)
            return result
        result.error_code = code_of(record.failure.reason)
        result.error_msg = str(record.failure)
        result.candidates = references
        if record.failure.reason is Reason.CANCELED:
            self._conclude(handle.canceled)
        else:
            self._conclude(handle.abort)
        return result

    def _conclude(self, conclude: Callable[[], None]) -> None:
        """Set how a goal ended."""
        try:
            conclude()
        except Exception:
            # When the process is told to end, nobody is left to hear it.
            if self.context.ok():
                raise

    def _on_instruction(self, message: String) -> None:
        self._instruction += 1
        # Queries block, callbacks must not.
        self.executor.create_task(self._answer_instruction, message.data, self._instruction)

    def _answer_instruction(self, words: str, number: int) -> None:
        def halted() -> None:
            if number != self._instruction:
                raise ReferFailure(Reason.PREEMPTED, "a newer instruction came")

        # The older one ends within an instant, and leaves its place to this one.
        with self._answering:
            if number == self._instruction:
                self._run(Refer.Goal(instruction=words), halted, None)

    def _run(
        self, goal: Refer.Goal, halted: Callable[[], None], tell: Tell | None
    ) -> tuple[Record, list[SpatialReference]]:
        """Run a query to its end, whatever happens, and publish what came of it."""
        record, references = Record(), []
        try:
            with self._lock:
                self._admit(record)
            try:
                self._answer(goal, record, halted, tell)
                references = self._messages(record)
                self._follow(record, references[0])
            finally:
                with self._lock:
                    self._running.discard(record)
        except ReferFailure as failure:
            record.failure = failure
            references = self._messages(record)
            self.get_logger().warning(f"{failure.reason.value}: {failure}")
        except Exception as error:
            self.get_logger().error(f"a defect; please report it:\n{traceback.format_exc()}")
            record.failure = ReferFailure(
                Reason.INTERNAL_ERROR, f"a defect of the referrer: {error!r}; see its log"
            )
            references = []
        else:
            asked = f"'{clean(goal.instruction, 80)}'" if record.answer else "a click"
            self.get_logger().info(f"{asked}: {len(references)} found")
        if record.wish is not None:
            # In a thread of its own: the result need not wait for pictures.
            self.executor.create_task(self._publish, record, references)
        if self._diagnosing is not None:
            self._diagnosing.last = record
        return record, references

    def _publish(self, record: Record, references: list[SpatialReference]) -> None:
        try:
            self._outputs.publish(record, references)
        except Exception as error:
            # Raised here, it would end the executor and with it the node.
            self.get_logger().error(f"a result was not published: {error!r}")

    def _admit(self, record: Record) -> None:
        if not self._active:
            raise ReferFailure(
                Reason.NOT_ACTIVE, "the referrer is not active; configure and activate it first"
            )
        most = int(self._values["query.most_at_once"])
        if len(self._running) >= most:
            raise ReferFailure(
                Reason.BUSY,
                f"{most} queries run and no more are taken at once; wait or cancel one",
            )
        self._running.add(record)

    def _answer(
        self, goal: Refer.Goal, record: Record, halted: Callable[[], None], tell: Tell | None
    ) -> None:
        assert self._settings is not None
        assert self._following is not None

        def check() -> None:
            halted()
            if not self._active:
                raise ReferFailure(
                    Reason.NOT_ACTIVE, "the referrer was deactivated; activate it again"
                )

        now_ns = self.get_clock().now().nanoseconds
        record.wish = wish_from_goal(goal, self._settings.query, now_ns)
        self._following.stop()
        self._inquirer().run(record.wish, record, tell, check)

    def _inquirer(self) -> Inquirer:
        assert self._intake is not None
        assert self._client is not None
        assert self._settings is not None
        return Inquirer(
            self.get_clock(),
            self._intake,
            self._client,
            self._settings,
            str(self._values["tf.gravity_frame"]),
            bool(self._values["model.send_depth"]),
        )

    def _messages(self, record: Record) -> list[SpatialReference]:
        record.total_s = monotonic() - record.begin
        frame, wish = record.frame, record.wish
        if frame is None or wish is None:
            return []
        latency = record.latency()
        return [
            reference_to_msg(found, frame, wish, uuid.uuid4().bytes, record.answer, latency)
            for found in record.found
        ]

    # --- following ----------------------------------------------------------------------------
    def _follow(self, record: Record, reference: SpatialReference) -> None:
        """Follow the first reference, if that is wished."""
        wish = record.wish
        assert wish is not None
        if not wish.follow:
            return
        assert self._following is not None
        inquirer = self._inquirer()

        def requery(check: Check) -> Referred:
            again = Record()
            newest = replace(wish.image, policy=Policy.NEWEST)
            inquirer.run(replace(wish, image=newest), again, None, check)
            return again.referred()

        self._following.start(
            reference.id,
            wish.target_frame,
            record.referred(),
            # What was clicked cannot be asked for again.
            requery if wish.pixel is None else None,
        )

    def _on_stop_following(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success = self._following is not None and self._following.stop()
        response.message = "" if response.success else "nothing was followed"
        return response


def main() -> None:
    """Run the node until it is told to end."""
    try:
        with rclpy.init():
            node = Referrer()
            executor = MultiThreadedExecutor(num_threads=_THREADS)
            executor.add_node(node)
            try:
                executor.spin()
            finally:
                # A query under way would hold up the end of the process.
                node.close()
                node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
