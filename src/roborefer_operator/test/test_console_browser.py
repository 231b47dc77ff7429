# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of the console in a real browser without a screen."""

import shutil

import numpy as np
import pytest
from console_page import console
from roborefer_common.qos import AUDIO

from roborefer_msgs.msg import AudioChunk, TaskStatus, TaskStep

pytestmark = pytest.mark.slow

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# The 3D view needs WebGL, here in software; the microphone is one that beeps.
_OPTIONS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
_MS = 40000


@pytest.fixture(scope="module")
def browser():
    """A Chromium; skips where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright; type: .venv/bin/pip install playwright"
    )
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium; type: apt-get install chromium-headless-shell")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Open pages that notice errors of their scripts and content from elsewhere."""
    contexts, errors, elsewhere = [], [], []

    def run(url):
        context = browser.new_context(
            viewport={"width": 1400, "height": 850}, permissions=["microphone"]
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_MS)
        own = url.partition("?")[0]
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "request",
            lambda request: (
                elsewhere.append(request.url)
                if not request.url.startswith((own, "blob:", "data:"))
                else None
            ),
        )
        page.goto(url)
        page.wait_for_selector("#connection.good")
        page.wait_for_selector("#robot.good")
        return page

    yield run
    for context in contexts:
        context.close()
    assert errors == []
    assert elsewhere == []


def test_a_person_types_answers_and_sees_the_camera_and_the_3d_view(start, open_page):
    with start() as bench, console(**{"scene.enabled": True}) as node:
        page = open_page(node.url)
        page.wait_for_function("document.getElementById('canvas').dataset.pictures > 1")
        page.fill("#sentence", "pick the mug")
        page.press("#sentence", "Enter")
        page.click("#answers button:has-text('blue mug')")
        page.wait_for_selector("#tasks .done:has-text('pick the mug')")
        pixel = page.evaluate(
            "[...document.getElementById('canvas').getContext('2d')"
            ".getImageData(5, 5, 1, 1).data].slice(0, 3)"
        )
        page.click("#show-scene")
        page.wait_for_function(
            "document.getElementById('scene').contentDocument.querySelector('canvas') !== null"
        )

    assert bench.world.held == "blue mug"
    assert np.abs(np.array(pixel) - (150, 140, 128)).max() < 8
    assert "token" not in page.url


def test_a_click_on_the_picture_answers_which_one(start, open_page):
    with start() as bench, console() as node:
        page = open_page(node.url)
        page.wait_for_function("document.getElementById('canvas').dataset.pictures > 1")
        page.fill("#sentence", "pick the mug")
        page.click("#send")
        page.wait_for_selector("#picture.choosing")
        u, v = bench.world.things["red mug"]
        box = page.locator("#canvas").bounding_box()
        page.mouse.click(box["x"] + u / 640 * box["width"], box["y"] + v / 480 * box["height"])
        page.wait_for_selector("#tasks .done:has-text('pick the mug')")

    assert bench.world.held == "red mug"


def test_a_correction_by_click_becomes_a_training_sample(start, open_page, tmp_path):
    with start(**{"records.folder": str(tmp_path)}), console() as node:
        page = open_page(node.url)
        page.wait_for_function("document.getElementById('canvas').dataset.pictures > 1")
        page.fill("#sentence", "find the plate")
        page.click("#send")
        page.wait_for_selector("#tasks .done:has-text('find the plate')")
        page.click("#correct")
        page.wait_for_selector("#picture.choosing")
        page.click("#canvas", position={"x": 40, "y": 30})
        page.wait_for_selector("#said:has-text('training sample')")
        again = page.locator("#picture.choosing").count()

    assert again == 0
    assert any(path.is_file() for path in tmp_path.rglob("*sample*/**/*"))


def test_the_stop_button_ends_a_motion_for_all_pages(start, open_page):
    with start(motion_s=30.0) as bench, console() as node:
        page, other = open_page(node.url), open_page(node.url)
        page.fill("#sentence", "pick the red mug")
        page.click("#send")
        bench.until(lambda s: s.steps and s.steps[0].attempts == 1)
        other.click("#stop")
        status = bench.until(lambda s: s.state == TaskStatus.CANCELED)
        page.wait_for_selector("#stop.set")
        page.click("#release")
        page.wait_for_selector("#stop:not(.set)")

    assert status.steps[0].state != TaskStep.SUCCEEDED
    assert bench.world.held == ""


def test_what_a_person_types_is_never_taken_for_a_page(start, open_page):
    with start(), console() as node:
        page = open_page(node.url)
        page.fill("#sentence", "find the <img src=x onerror=document.title='taken'> plate")
        page.click("#send")
        page.wait_for_selector("#tasks li:has-text('<img'), #said.bad")

    assert page.title() == "RoboRefer console"


def test_holding_the_talk_button_sends_sound(start, open_page):
    chunks = []
    with start() as bench, console() as node:
        bench.client.create_subscription(AudioChunk, "audio", chunks.append, AUDIO)
        page = open_page(node.url)
        page.hover("#talk")
        page.mouse.down()
        # The microphone beeps once a second.
        page.wait_for_timeout(1500)
        page.mouse.up()
        page.wait_for_selector("#talk:not(.on)")
        page.wait_for_timeout(300)

    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert 4000 < len(samples) < 64000
    assert np.abs(samples.astype(int)).max() > 1000


def test_a_page_finds_back_to_a_console_that_was_started_again(start, open_page):
    with start():
        with console() as node:
            page = open_page(node.url)
            port = node._gate.port
        page.wait_for_selector("#connection.bad")
        page.click("#stop")
        said = page.inner_text("#said")
        with console(port=port):
            page.wait_for_selector("#connection.good")
            page.click("#stop")
            page.wait_for_selector("#stop.set")

    assert "nothing was sent" in said
