# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The console as a node: what pages show for given messages, and what their orders do."""

import threading

import cv2
import numpy as np
import pytest
from console_page import TOKEN, Page, console
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from roborefer_common.qos import AUDIO, EVENT, LATCHED, SENSOR_OUT
from roborefer_operator.core.console.sessions import LIVE, REFERRED
from roborefer_operator.exceptions import ConsoleError
from std_msgs.msg import Bool

from roborefer_msgs.msg import (
    AudioChunk,
    Pixel,
    ReasoningStep,
    SpatialReference,
    TaskStatus,
    TrackedReference,
    Transcript,
)
from roborefer_msgs.srv import CorrectReference, Instruct


@pytest.fixture
def robot(start):
    """Mock robot, executive and console; gives the bench and the console."""

    def run(motion_s=0.1, **changes):
        return _Both(start(motion_s=motion_s), changes)

    return run


class _Both:
    def __init__(self, bench, changes):
        self._bench, self._changes = bench, changes

    def __enter__(self):
        bench = self._bench.__enter__()
        try:
            self._console = console(**self._changes)
            return bench, self._console.__enter__()
        except BaseException:
            self._bench.__exit__(None, None, None)
            raise

    def __exit__(self, *error):
        try:
            self._console.__exit__(*error)
        finally:
            self._bench.__exit__(*error)


def ready(page):
    page.until(lambda board: board.get("robot", {}).get("good"))


def task(state):
    return lambda board: (
        board["task"] if board.get("task") and board["task"]["state"] == state else None
    )


def test_a_sentence_of_a_page_is_carried_out_and_every_page_sees_it(robot):
    with robot() as (_, node), Page(node.url) as page, Page(node.url) as other:
        ready(page)
        reply = page.ask(do="instruct", text="put the red mug left of the plate", confirm=False)
        seen = [each.until(task("succeeded")) for each in (page, other)]

    assert reply["done"]
    assert seen[0] == seen[1]
    assert [step["words"] for step in seen[0]["steps"]] == [
        "pick the red mug", "put it left of the plate",
    ]  # fmt: skip
    assert [step["look"] for step in seen[0]["steps"]] == ["done", "done"]
    assert page.board["tasks"][0]["id"] == seen[0]["id"]
    assert page.board["reference"]["id"]
    assert page.board["marks"][-1]["kind"] == "target"


@pytest.mark.parametrize(
    "answer",
    [
        {"answer": "candidate", "candidate": 1},
        {"answer": "words", "text": "the blue mug"},
        {"answer": "pixel"},
    ],
)
def test_a_question_is_shown_with_numbered_marks_and_answered(robot, answer):
    with robot() as (bench, node), Page(node.url) as page:
        ready(page)
        page.ask(do="instruct", text="pick the mug", confirm=False)
        asking = page.until(task("asking"))
        marks = page.until(lambda board: len(board["marks"]) == 2 and board["marks"])
        if answer["answer"] == "pixel":
            mark = next(mark for mark in marks if mark["text"] == "1 blue mug")
            answer = {**answer, "u": mark["u"], "v": mark["v"]}
        question = {"task": asking["id"], "question": asking["question"]["id"]}
        late = page.ask(do="answer", task=asking["id"], question="old", answer="yes")
        reply = page.ask(do="answer", **question, **answer)
        page.until(task("succeeded"))

    assert [mark["text"] for mark in marks] == ["1 blue mug", "2 red mug"]
    assert asking["question"]["click"]
    assert not late["done"]
    assert reply["done"]
    assert bench.world.held == "blue mug"


def test_nothing_moves_before_the_yes_where_that_was_asked_for(robot):
    with robot() as (bench, node), Page(node.url) as page:
        ready(page)
        page.ask(do="instruct", text="pick the red mug", confirm=True)
        asking = page.until(task("asking"))
        held_before = bench.world.held
        page.ask(do="answer", task=asking["id"], question=asking["question"]["id"], answer="yes")
        page.until(task("succeeded"))

    assert asking["question"]["yes"] == "Yes, do it"
    assert held_before == ""
    assert bench.world.held == "red mug"


def test_stop_ends_the_motion_and_release_takes_it_back(robot):
    with robot(motion_s=30.0) as (bench, node), Page(node.url) as page:
        ready(page)
        page.ask(do="instruct", text="pick the red mug", confirm=False)
        bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        page.ask(do="stop", on=True)
        stopped = page.until(task("canceled"))
        page.until(lambda board: board["stop"] is True)
        refused = page.ask(do="instruct", text="pick the plate", confirm=False)
        page.ask(do="stop", on=False)
        page.until(lambda board: board["stop"] is False)
        after = page.ask(do="instruct", text="find the plate", confirm=False)

    assert "stop" in stopped["error"]
    assert not refused["done"]
    assert after["done"]
    assert bench.world.held == ""


def test_stop_does_not_wait_for_an_order_that_hangs(start):
    hold = threading.Event()
    heard = threading.Event()

    def hang(request, response):
        hold.wait(20.0)
        return response

    with start(active=False, robot=False) as bench:
        bench.executive.destroy_node()
        own = MutuallyExclusiveCallbackGroup()
        bench.client.create_service(Instruct, "instruct", hang, callback_group=own)
        bench.client.create_subscription(
            Bool, "stop", lambda m: heard.set() if m.data else None, LATCHED
        )
        with console(**{"server.wait_s": 1.0}) as node, Page(node.url) as page:
            ready(page)
            hanging = page.send(do="instruct", text="pick the plate", confirm=False)
            reply = page.ask(do="stop", on=True)
            late = page.reply(hanging)
            was_heard = heard.wait(10.0)
            hold.set()

    assert reply["done"]
    assert was_heard
    assert not late["done"]
    assert "did not answer within 1 s" in late["said"]


def test_losing_pages_and_console_neither_stops_nor_starts_anything(robot):
    with robot(motion_s=1.5) as (bench, node):
        heard = []
        bench.client.create_subscription(Bool, "stop", lambda m: heard.append(m.data), LATCHED)
        with Page(node.url) as page:
            ready(page)
            page.ask(do="instruct", text="pick the red mug", confirm=False)
            bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        node._gate._run(node._gate._stop_listening())
        status = bench.until(lambda s: s.state >= TaskStatus.SUCCEEDED)

    assert status.state == TaskStatus.SUCCEEDED
    assert heard == []


def test_a_stop_that_was_released_elsewhere_does_not_reach_who_comes_late(robot):
    with robot() as (bench, node), Page(node.url) as page:
        ready(page)
        page.ask(do="stop", on=True)
        page.until(lambda board: board["stop"] is True)
        node._orders._stop._said_ns = 0
        bench.call(Instruct, "instruct", text="continue")
        page.until(lambda board: board["stop"] is False)
        late, came = [], threading.Event()

        def hear(message):
            late.append(message.data)
            came.set()

        bench.client.create_subscription(Bool, "stop", hear, LATCHED)
        assert came.wait(10.0)
        page.ask(do="instruct", text="find the plate", confirm=False)
        page.until(task("succeeded"))

    assert late == [False]


def test_a_correction_by_click_names_reference_and_pixel(start):
    asked = []

    def save(request, response):
        asked.append(request)
        response.accepted, response.sample_id = True, "s1"
        return response

    with start(active=False, robot=False) as bench:
        bench.client.create_service(CorrectReference, "right", save)
        with console() as node, Page(node.url) as page:
            nobody = page.ask(do="correct", reference="0f" * 16, in_image=True, u=10.5, v=20.0)
            node._orders._clients[CorrectReference] = node.create_client(CorrectReference, "right")
            assert node._orders._clients[CorrectReference].wait_for_service(10.0)
            reply = page.ask(do="correct", reference="0f" * 16, in_image=True, u=10.5, v=20.0)

    assert not nobody["done"] or "sample" in nobody["said"]
    assert reply["done"]
    assert "s1" in reply["said"]
    assert bytes(asked[0].reference_id.uuid).hex() == "0f" * 16
    assert (asked[0].pixel.u, asked[0].pixel.v, asked[0].in_image) == (10.5, 20.0, True)


def test_without_an_executive_a_page_says_what_to_start(start):
    with start(active=False, robot=False) as bench, console() as node, Page(node.url) as page:
        bench.executive.destroy_service(next(bench.executive.services))
        for service in list(bench.executive.services):
            bench.executive.destroy_service(service)
        page.until(lambda board: board.get("robot", {}).get("good") is False)
        reply = page.ask(do="instruct", text="pick the plate", confirm=False)

    assert not reply["done"]
    assert "executive.launch.py" in reply["said"]


def test_sound_of_a_page_becomes_the_audio_topic(start):
    got, ended = [], threading.Event()

    def listen(chunk):
        got.append(chunk)
        if chunk.last:
            ended.set()

    with start(active=False, robot=False) as bench:
        bench.client.create_subscription(AudioChunk, "audio", listen, AUDIO)
        with console() as node, Page(node.url) as page:
            page.until(lambda board: "robot" in board)
            for part in range(3):
                samples = np.full(3200, part, "<i2")
                page.send_sound(bytes([part == 2]) + samples.tobytes())
            assert ended.wait(10.0)

    assert [chunk.samples[0] for chunk in got] == [0, 1, 2]
    assert {(chunk.sample_rate, len(chunk.samples)) for chunk in got} == {(16000, 3200)}
    assert [chunk.last for chunk in got] == [False, False, True]


def test_pictures_are_shown_while_a_page_is_open_and_only_then(robot):
    with robot() as (_, node):
        before = len(node._sources._watching)
        with Page(node.url) as page:
            ready(page)
            page.ask(do="instruct", text="find the red mug", confirm=False)
            live, referred = page.until_picture(LIVE), page.until_picture(REFERRED)
            during = len(node._sources._watching)
            page.until(lambda board: "640 x 480" in board["camera"])

    shapes = [
        cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR).shape
        for each in (live, referred)
    ]
    assert shapes == [(480, 640, 3), (480, 640, 3)]
    assert (before, during) == (0, 2)


def test_a_reference_is_shown_with_reasoning_and_followed(start):
    found = SpatialReference(
        label="red mug", confidence=0.9, model="m", pixel=Pixel(u=10.0, v=20.0)
    )
    found.id.uuid = [7] * 16
    found.pose.header.frame_id = "base_link"
    found.reasoning = [
        ReasoningStep(
            perception=ReasoningStep.POSITION, target="plate", has_value=True,
            pixel=Pixel(u=1.0, v=2.0), text="[Position] [plate]: (1, 2)",
        ),
        ReasoningStep(text="so it is the <b>red</b> mug"),
    ]  # fmt: skip
    followed = TrackedReference(id=found.id, pixel=Pixel(u=30.0, v=40.0))
    with start(active=False, robot=False) as bench, console() as node, Page(node.url) as page:
        reference = bench.client.create_publisher(SpatialReference, "reference", LATCHED)
        tracked = bench.client.create_publisher(TrackedReference, "tracked_reference", SENSOR_OUT)
        reference.publish(found)
        page.until(lambda board: board.get("reference"))
        first = page.until(lambda board: board["marks"])
        timer = bench.client.create_timer(0.05, lambda: tracked.publish(followed))
        page.until(lambda board: board["marks"][-1]["u"] == 30.0)
        bench.client.destroy_timer(timer)

    assert [(mark["kind"], mark["u"]) for mark in first] == [("step", 1.0), ("target", 10.0)]
    assert "red mug" in page.board["reference"]["text"]
    assert page.board["reference"]["reasoning"][1] == "so it is the <b>red</b> mug"


def test_nodes_and_words_that_were_heard_are_shown(start):
    status = DiagnosticStatus(name="arm: readiness", level=DiagnosticStatus.WARN, message="slow")
    heard = Transcript(text="pick the plate", confidence=0.8, accepted=True)
    with start(active=False, robot=False) as bench, console() as node, Page(node.url) as page:
        diagnostics = bench.client.create_publisher(DiagnosticArray, "diagnostics", EVENT)
        words = bench.client.create_publisher(Transcript, "transcript", LATCHED)
        words.publish(heard)
        timer = bench.client.create_timer(
            0.1, lambda: diagnostics.publish(DiagnosticArray(status=[status]))
        )
        nodes = page.until(
            lambda board: [n for n in board.get("nodes", []) if n["name"] == "arm: readiness"]
        )
        page.until(lambda board: "pick the plate" in board.get("heard", ""))
        bench.client.destroy_timer(timer)

    assert nodes == [{"name": "arm: readiness", "level": "warn", "text": "slow"}]


def test_tasks_of_before_are_shown_to_a_console_that_starts_later(start):
    with start() as bench:
        for name in ("plate", "red mug"):
            bench.call(Instruct, "instruct", text=f"find the {name}", wait_for_others=True)
        bench.until(lambda s: "red" in s.instruction and s.state == TaskStatus.SUCCEEDED)
        with console() as node, Page(node.url) as page:
            tasks = page.until(lambda board: len(board.get("tasks", [])) == 2 and board["tasks"])

    assert [each["instruction"] for each in tasks] == ["find the red mug", "find the plate"]


def test_a_token_that_is_no_good_keeps_the_console_from_starting(domain):
    import rclpy

    with (
        rclpy.init(args=[]),
        pytest.raises(ConsoleError, match="16 to 256"),
        console(token="short"),
    ):
        pass


def test_the_address_in_the_log_is_of_this_machine_and_has_the_token(start):
    with start(active=False, robot=False), console() as node:
        url = node.url

    assert url.startswith("http://127.0.0.1:")
    assert url.endswith(f"/?token={TOKEN}")
