# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The rules of the transform tree, one by one."""

from __future__ import annotations

import math
import time

import pytest
import tf2_py
import yaml
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from tf2_py import BufferCore


def link(parent, child, sec, x=0.0, turn=(0.0, 0.0, 0.0, 1.0)):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(sec=int(sec), nanosec=int(sec % 1 * 1e9))
    message.transform.translation.x = x
    rotation = message.transform.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = turn
    return message


def at(sec):
    return Time(sec=int(sec), nanosec=int(sec % 1 * 1e9))


def core(*links, static=()):
    tree = BufferCore()
    for item in links:
        tree.set_transform(item, "test")
    for item in static:
        tree.set_transform_static(item, "test")
    return tree


def x_of(tree, target, source, sec):
    return tree.lookup_transform_core(target, source, at(sec)).transform.translation.x


def test_between_samples_translation_is_linear_and_rotation_spherical():
    half = math.sqrt(0.5)
    tree = core(link("a", "b", 1, 0.0), link("a", "b", 3, 2.0, (0.0, 0.0, half, half)))

    found = tree.lookup_transform_core("a", "b", at(2))

    assert found.transform.translation.x == pytest.approx(1.0)
    assert found.transform.rotation.z == pytest.approx(math.sin(math.pi / 8))
    assert found.header.stamp == at(2)
    assert (found.header.frame_id, found.child_frame_id) == ("a", "b")


def test_slerp_takes_the_short_way_between_quaternions_of_opposite_sign():
    tree = core(link("a", "b", 1), link("a", "b", 3, turn=(0.0, 0.0, 0.0, -1.0)))

    turn = tree.lookup_transform_core("a", "b", at(2)).transform.rotation

    assert turn.w == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sec", "text"),
    [
        (
            4,
            "Lookup would require extrapolation into the future.  Requested time 4.000000 but the "
            "latest data is at time 3.000000, when looking up transform from frame [b] to "
            "frame [a]",
        ),
        (
            0.5,
            "Lookup would require extrapolation into the past.  Requested time 0.500000 but the "
            "earliest data is at time 1.000000, when looking up transform from frame [b] to "
            "frame [a]",
        ),
    ],
)
def test_extrapolation_says_how_far_the_data_reaches(sec, text):
    tree = core(link("a", "b", 1), link("a", "b", 3))

    with pytest.raises(tf2_py.ExtrapolationException) as error:
        tree.lookup_transform_core("a", "b", at(sec))

    assert str(error.value) == text
    assert tree.can_transform_core("a", "b", at(sec)) == (False, text)


def test_a_single_sample_holds_only_at_its_own_time():
    tree = core(link("a", "b", 1))

    assert tree.can_transform_core("a", "b", at(1)) == (True, "")
    with pytest.raises(tf2_py.ExtrapolationException, match=r"but only time 1\.000000 is in the"):
        tree.lookup_transform_core("a", "b", at(2))


def test_time_zero_is_the_latest_time_common_to_all_moving_links():
    tree = core(
        link("a", "b", 1, 1.0),
        link("a", "b", 2, 2.0),
        link("b", "c", 1, 10.0),
        link("b", "c", 5, 50.0),
        static=[link("c", "d", 0, 100.0)],
    )

    found = tree.lookup_transform_core("a", "d", Time())

    assert found.header.stamp == at(2)
    assert found.transform.translation.x == pytest.approx(2 + 20 + 100)
    assert tree.lookup_transform_core("c", "d", Time()).header.stamp == Time()


@pytest.mark.parametrize(
    ("target", "source", "kind", "text"),
    [
        (
            "a",
            "x",
            tf2_py.LookupException,
            '"x" passed to lookupTransform argument source_frame does not exist. ',
        ),
        (
            "x",
            "a",
            tf2_py.LookupException,
            '"x" passed to lookupTransform argument target_frame does not exist. ',
        ),
        (
            "a",
            "/b",
            tf2_py.InvalidArgumentException,
            'Invalid argument "/b" passed to lookupTransform argument source_frame - '
            "in tf2 frame_ids cannot start with a '/'",
        ),
        (
            "",
            "b",
            tf2_py.InvalidArgumentException,
            'Invalid argument "" passed to lookupTransform argument target_frame - '
            "in tf2 frame_ids cannot be empty",
        ),
        (
            "a",
            "n",
            tf2_py.ConnectivityException,
            "Could not find a connection between 'a' and 'n' because they are not part of the "
            "same tree.Tf has two or more unconnected trees.",
        ),
    ],
)
def test_frames_that_cannot_be_joined_raise_with_the_text_of_tf2(target, source, kind, text):
    tree = core(link("a", "b", 1), link("m", "n", 1))

    with pytest.raises(kind) as error:
        tree.lookup_transform_core(target, source, Time())

    assert str(error.value) == text


def test_the_short_question_names_the_invalid_frame():
    tree = core(link("a", "b", 1))

    assert tree.can_transform_core("a", "x", Time()) == (
        False,
        'Invalid frame ID "x" passed to canTransform argument source_frame - frame does not exist',
    )


def test_a_frame_in_itself_is_the_identity_even_when_unknown():
    found = BufferCore().lookup_transform_core("x", "x", at(7))

    assert found.transform.rotation.w == 1.0
    assert found.header.stamp == at(7)


@pytest.mark.parametrize(
    ("message", "label"),
    [
        (link("a", "a", 1), "TF_SELF_TRANSFORM"),
        (link("/a", "a", 1), "TF_SELF_TRANSFORM"),
        (link("", "a", 1), "TF_NO_FRAME_ID"),
        (link("a", "", 1), "TF_NO_CHILD_FRAME_ID"),
        (link("a", "b", 1, math.nan), "TF_NAN_INPUT"),
        (link("a", "b", 1, turn=(0.0, 0.0, 0.0, 0.0)), "TF_NAN_INPUT"),
    ],
)
def test_senseless_transforms_are_refused_aloud(message, label, capfd):
    tree = core(message)

    assert label in capfd.readouterr().err
    assert not tree._frameExists("b")


def test_leading_slashes_of_incoming_frames_are_dropped():
    tree = core(link("/a", "/b", 1))

    assert tree.can_transform_core("a", "b", Time()) == (True, "")


def test_samples_may_arrive_in_any_order():
    tree = core(*(link("a", "b", sec, float(sec)) for sec in (5, 1, 4, 2, 3)))

    assert [x_of(tree, "a", "b", sec) for sec in (1, 2.5, 5)] == pytest.approx([1, 2.5, 5])


def test_only_the_cache_time_is_kept_and_older_data_is_refused(capfd):
    tree = core(link("a", "b", 1), link("a", "b", 12), link("a", "b", 13))

    assert not tree.can_transform_core("a", "b", at(1))[0]
    tree.set_transform(link("a", "b", 2), "late one")
    assert "TF_OLD_DATA ignoring data from the past for frame b at time 2.000000" in (
        capfd.readouterr().err
    )


def test_a_frame_that_becomes_static_forgets_how_it_moved():
    tree = core(link("a", "b", 1, 1.0), link("a", "b", 3, 3.0), static=[link("a", "b", 0, 9.0)])

    assert x_of(tree, "a", "b", 1) == x_of(tree, "a", "b", 999) == 9.0


def test_clear_forgets_moving_frames_but_not_static_ones():
    tree = core(link("a", "b", 1), static=[link("b", "c", 0)])

    tree.clear()

    assert tree.can_transform_core("b", "c", at(5))[0]
    assert not tree.can_transform_core("a", "b", Time())[0]
    assert tree._frameExists("a")


def test_the_full_lookup_joins_two_times_in_the_fixed_frame():
    tree = core(
        link("world", "car", 1, 1.0),
        link("world", "car", 5, 5.0),
        static=[link("car", "camera", 0, 0.5)],
    )

    found = tree.lookup_transform_full_core("car", at(5), "camera", at(2), "world")

    assert found.transform.translation.x == pytest.approx(2 + 0.5 - 5)
    assert found.header.stamp == at(5)


def test_a_loop_in_the_tree_is_an_error_not_a_hang():
    tree = core(link("a", "b", 1), link("b", "c", 1), link("c", "a", 1), link("m", "n", 1))

    with pytest.raises(tf2_py.LookupException, match="contains a loop"):
        tree.lookup_transform_core("m", "a", at(1))


def test_frames_are_listed_with_parents_and_times():
    tree = core(link("a", "b", 1), link("a", "b", 3))

    assert tree.all_frames_as_string() == "Frame b exists with parent a.\n"
    assert yaml.safe_load(tree.all_frames_as_yaml())["b"] == {
        "parent": "a",
        "broadcaster": "test",
        "rate": 1.0,
        "most_recent_transform": 3.0,
        "oldest_transform": 1.0,
        "buffer_length": 2.0,
    }
    assert BufferCore().all_frames_as_yaml() == "[]"


def test_a_chain_of_ten_moving_frames_is_looked_up_fast():
    tree = core(
        *(
            link(f"f{i}", f"f{i + 1}", sec / 8, 0.1, (0.0, 0.0, math.sin(sec), math.cos(sec)))
            for i in range(10)
            for sec in range(8, 80)
        )
    )
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(20):
            tree.lookup_transform_core("f0", "f10", at(5.0625))
        best = min(best, (time.perf_counter() - start) / 20)

    assert best < 150e-6  # 30 µs on an idle core; the limit only catches a change of order
