# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs in Debian's Python: plays scenarios (JSON on stdin) on the C++ tf2 core of ROS 1."""

import json
import sys

import rospy
import tf2_py
from geometry_msgs.msg import TransformStamped


def transform(parent, child, ticks, values):
    message = TransformStamped()
    message.header.frame_id = parent
    message.header.stamp = stamp(ticks)
    message.child_frame_id = child
    move, turn = message.transform.translation, message.transform.rotation
    move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = values
    return message


def stamp(ticks):
    return rospy.Time(*divmod(ticks * 3906250, 1000000000))


def play(scenario):
    core = tf2_py.BufferCore(rospy.Duration(10))
    answers = []
    for step in scenario:
        kind, *rest = step
        try:
            if kind == "set":
                parent, child, ticks, values, static = rest
                put = core.set_transform_static if static else core.set_transform
                put(transform(parent, child, ticks, values), "test")
                answer = None
            elif kind == "lookup":
                target, source, ticks = rest
                answer = numbers(core.lookup_transform_core(target, source, stamp(ticks)))
            elif kind == "full":
                target, when, source, then, fixed = rest
                found = core.lookup_transform_full_core(
                    target, stamp(when), source, stamp(then), fixed
                )
                answer = numbers(found)
            elif kind == "can":
                target, source, ticks = rest
                answer = bool(core.can_transform_core(target, source, stamp(ticks))[0])
        except tf2_py.TransformException as error:
            answer = [type(error).__name__, str(error)]
        answers.append(answer)
    return answers


def numbers(message):
    move, turn = message.transform.translation, message.transform.rotation
    time = message.header.stamp
    return [move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w, time.secs, time.nsecs]


json.dump([play(scenario) for scenario in json.load(sys.stdin)], sys.stdout)
