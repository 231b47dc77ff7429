# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One query from the goal to the places: get a picture, ask the model, locate what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from rclpy.clock import Clock
from roborefer_common.patience import Patience

from roborefer_msgs.msg import LatencySplit, Phase
from roborefer_perception.core.answers import Answer, Latency, Step
from roborefer_perception.core.camera import Array
from roborefer_perception.core.model_client import ModelClient
from roborefer_perception.core.parameters import Settings
from roborefer_perception.core.query import (
    Found,
    Look,
    Undecided,
    Wish,
    answered,
    clicked,
    live_steps,
)
from roborefer_perception.core.questions import Question
from roborefer_perception.core.types import RgbdFrame
from roborefer_perception.exceptions import Reason, ReferFailure
from roborefer_perception.nodes.following import Referred
from roborefer_perception.nodes.intake import Intake


@dataclass(eq=False)
class Record:
    """What is known of a query so far; a failed one keeps how far it came.

    Attributes:
        begin: When the goal was accepted, time.monotonic.
        phase: A constant of Phase.
        wish: The goal.
        look: The picture, and where the camera was.
        answer: Of the model.
        found: References; candidates of a failed one.
        failure: Why there are none.
        image_age_s: When the question was sent.
        wait_s: For the picture and its transform.
        geometry_s: From pixels to places.
        total_s: Until the query ended.
    """

    begin: float = field(default_factory=monotonic)
    phase: int = Phase.WAITING
    wish: Wish | None = None
    look: Look | None = None
    answer: Answer | None = None
    found: Sequence[Found] = ()
    failure: ReferFailure | None = None
    image_age_s: float = 0.0
    wait_s: float = 0.0
    geometry_s: float = 0.0
    total_s: float = 0.0

    @property
    def frame(self) -> RgbdFrame | None:
        """The picture."""
        return self.look.frame if self.look else None

    def referred(self) -> Referred:
        """Return the first place of a query that succeeded."""
        assert self.look is not None
        place = self.found[0].place
        assert place is not None
        return Referred(self.look.frame, place, self.look.t_target_optical)

    def latency(self) -> LatencySplit:
        """Where the time went."""
        model = self.answer.latency if self.answer else Latency()
        return LatencySplit(
            image_age_s=self.image_age_s,
            wait_s=self.wait_s,
            queue_s=model.queue_s,
            model_s=model.model_s,
            transport_s=model.transport_s,
            geometry_s=self.geometry_s,
            total_s=self.total_s,
        )


# Told at each phase, and whenever the reasoning grows.
Tell = Callable[[int, Sequence[Step]], None]


@dataclass(frozen=True)
class Inquirer:
    """What every query needs.

    Attributes:
        clock: Of the node.
        intake: The camera and TF.
        client: Of the referring server.
        settings: The parameters.
        gravity_frame: Frame whose z axis points up, or "".
        send_depth: Whether the server gets depth and intrinsics.
    """

    clock: Clock
    intake: Intake
    client: ModelClient
    settings: Settings
    gravity_frame: str
    send_depth: bool

    def run(
        self, wish: Wish, record: Record, tell: Tell | None, halted: Callable[[], None]
    ) -> None:
        """Find what is wished for; what is found, and how far it came, is written to the record.

        Args:
            wish: The goal.
            record: Of this query.
            tell: Told how far it is; None: nobody listens.
            halted: Raises a ReferFailure when the query must end.

        Raises:
            ReferFailure: Why there is no reference.
        """
        deadline = Patience(self.clock, wish.deadline_s)

        def check() -> None:
            halted()
            if deadline.over:
                raise ReferFailure(
                    Reason.TIMEOUT,
                    f"the query did not end within {wish.deadline_s:g} s; allow a longer deadline",
                )

        written: list[Sequence[Step]] = [()]

        def enter(phase: int) -> None:
            record.phase = phase
            check()
            if tell is not None:
                final = record.answer.reasoning if record.answer else ()
                tell(phase, final or written[-1])

        def on_text(text: str) -> None:
            written[:] = [live_steps(text)]
            if tell is not None:
                tell(Phase.ASKING_MODEL, written[-1])

        enter(Phase.GETTING_IMAGE)
        waiting = Patience(self.clock, wish.wait_s)
        frame = self.intake.frame(wish.image, waiting, check)
        look = record.look = self._look(wish, frame, waiting, check)
        record.wait_s = monotonic() - record.begin
        record.image_age_s = (self.clock.now().nanoseconds - frame.stamp_ns) * 1e-9
        if wish.pixel is None:
            enter(Phase.ASKING_MODEL)
            record.answer = self._ask(
                wish, frame, deadline, on_text if tell is not None else None, halted
            )
        enter(Phase.LOCATING)
        started = monotonic()
        try:
            if record.answer is None:
                record.found = clicked(look, wish)
            else:
                record.found = answered(look, wish, record.answer)
        except Undecided as undecided:
            record.found = undecided.candidates
            raise
        finally:
            record.geometry_s = monotonic() - started
        check()
        record.phase = Phase.DONE

    def _look(
        self, wish: Wish, frame: RgbdFrame, waiting: Patience, check: Callable[[], None]
    ) -> Look:
        """Find where the camera was when it took the picture."""

        def pose_in(target: str) -> Array:
            left = Patience(self.clock, max(0.0, waiting.left_s))
            return self.intake.transform(target, frame.frame_id, frame.stamp_ns, left, check)

        settings = self.settings
        # Never that of the goal: who sends goals must not move the box.
        box_frame = settings.workspace_frame or settings.query.target_frame
        t_target_optical = pose_in(wish.target_frame)
        return Look(
            frame=frame,
            t_target_optical=t_target_optical,
            box_frame=box_frame,
            t_box_optical=(
                t_target_optical if box_frame == wish.target_frame else pose_in(box_frame)
            ),
            workspace=settings.workspace,
            locate=settings.locate,
            pixel_sigma=settings.pixel_sigma,
            calibration=settings.calibration,
            agreement=settings.agreement,
            check=check,
        )

    def _ask(
        self,
        wish: Wish,
        frame: RgbdFrame,
        deadline: Patience,
        on_text: Callable[[str], None] | None,
        halted: Callable[[], None],
    ) -> Answer:
        question = Question(
            rgb=frame.rgb,
            text=wish.words,
            depth_m=frame.depth_m if self.send_depth else None,
            camera=frame.camera if self.send_depth else None,
            up=self._up(frame),
            kind=wish.kind,
            samples=wish.samples,
        )
        why: list[ReferFailure] = []

        def cancelled() -> bool:
            try:
                halted()
            except ReferFailure as failure:
                why.append(failure)
            return bool(why) or deadline.over

        try:
            return self.client.ask(question, deadline.left_s, on_text, cancelled)
        except ReferFailure as failure:
            if failure.reason is not Reason.CANCELED:
                raise
            if why:
                raise why[0] from None
            # By the node's clock, which may run faster than the wall.
            raise ReferFailure(
                Reason.MODEL_TIMEOUT,
                f"the referring server did not answer within {wish.deadline_s:g} s; allow a longer"
                " deadline or look at the server",
            ) from None

    def _up(self, frame: RgbdFrame) -> tuple[float, float, float] | None:
        """Direction against gravity in the optical frame, where TF knows it without a wait."""
        if not self.gravity_frame:
            return None
        no_wait = Patience(self.clock, -1.0)
        try:
            turn = self.intake.transform(
                self.gravity_frame, frame.frame_id, frame.stamp_ns, no_wait
            )
        except ReferFailure:
            # A help for the server, which finds out itself otherwise.
            return None
        x, y, z = (float(value) for value in turn[2, :3])
        return x, y, z
