# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Carries out what pages ask for, through the services and topics that everybody uses."""

from __future__ import annotations

import asyncio
from typing import Any

from rclpy.node import Node
from roborefer_common.qos import AUDIO
from unique_identifier_msgs.msg import UUID

from roborefer_msgs.msg import AudioChunk, Pixel, TaskStatus
from roborefer_msgs.srv import AnswerQuestion, CancelTask, CorrectReference, Instruct
from roborefer_operator.core.console import orders
from roborefer_operator.exceptions import ConsoleError
from roborefer_operator.nodes.stop_line import StopLine

_RATE = 16000


class Orders:
    """The clients of the executive, and the topics `stop` and `audio`."""

    def __init__(self, node: Node, stop: StopLine, wait_s: float) -> None:
        self._node, self._stop, self._wait_s = node, stop, wait_s
        self._clients = {
            kind: node.create_client(kind, name)
            for kind, name in (
                (Instruct, "instruct"),
                (AnswerQuestion, "answer_question"),
                (CancelTask, "cancel_task"),
                (CorrectReference, "correct_reference"),
            )
        }
        self._audio = node.create_publisher(AudioChunk, "audio", AUDIO)

    @property
    def executive_is_there(self) -> bool:
        """Whether somebody takes sentences."""
        return bool(self._clients[Instruct].service_is_ready())

    async def carry(self, order: orders.Order) -> str:
        """Carry out an order, in the gate's thread.

        Returns:
            A sentence for the page, or "".

        Raises:
            ConsoleError: It was refused, or nobody is there who could do it.
        """
        match order:
            case orders.Stop(on):
                self._stop.say(on)
                return "Stop is set: nothing moves." if on else "Released: tasks may begin again."
            case orders.Sound(samples, last):
                chunk = AudioChunk(sample_rate=_RATE, samples=samples.tolist(), last=last)
                chunk.header.stamp = self._node.get_clock().now().to_msg()
                chunk.header.frame_id = "browser"
                self._audio.publish(chunk)
                return ""
            case orders.Instruct(text, confirm):
                request = Instruct.Request(text=text, source=TaskStatus.TYPED, confirm=confirm)
                response = await self._call(Instruct, request)
                return f"Task {response.task_id} begins."
            case orders.Answer(task, question, way, candidate, text, (u, v)):
                request = AnswerQuestion.Request(
                    task_id=task, question_id=question, answer=way, candidate=candidate,
                    text=text, pixel=Pixel(u=u, v=v),
                )  # fmt: skip
                await self._call(AnswerQuestion, request)
                return "Answered."
            case orders.Cancel(task):
                response = await self._call(CancelTask, CancelTask.Request(task_id=task))
                return f"Ending: {', '.join(response.task_ids)}."
            case orders.Correct(reference, pixel):
                u, v = pixel or (0.0, 0.0)
                request = CorrectReference.Request(
                    reference_id=UUID(uuid=list(bytes.fromhex(reference))),
                    in_image=pixel is not None, pixel=Pixel(u=u, v=v),
                )  # fmt: skip
                response = await self._call(CorrectReference, request)
                return f"Saved as training sample {response.sample_id}."

    async def _call(self, kind: Any, request: Any) -> Any:
        client = self._clients[kind]
        if not client.service_is_ready():
            raise ConsoleError(
                f"nobody serves {client.srv_name}; start the executive:"
                " ros2 launch roborefer_operator executive.launch.py"
            )
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()

        def pass_on(future: Any) -> None:
            loop.call_soon_threadsafe(_settle, answered, future)

        future = client.call_async(request)
        future.add_done_callback(pass_on)
        try:
            response = await asyncio.wait_for(answered, self._wait_s)
        except TimeoutError:
            client.remove_pending_request(future)
            raise ConsoleError(
                f"{client.srv_name} did not answer within {self._wait_s:g} s;"
                " look at the tasks whether it was taken before sending it again"
            ) from None
        if not response.accepted:
            raise ConsoleError(f"Not taken ({response.error_code}): {response.error_msg}")
        return response


def _settle(answered: asyncio.Future[Any], future: Any) -> None:
    if answered.done():
        return
    if future.exception() is not None:
        answered.set_exception(ConsoleError(f"the service failed: {future.exception()}"))
    else:
        answered.set_result(future.result())
