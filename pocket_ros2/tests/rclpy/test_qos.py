# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Profiles, policies, presets, compatibility."""

from __future__ import annotations

import pytest
from pocket_ros2.wire.qos import INFINITE
from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    InvalidQoSProfileException,
    LivelinessPolicy,
    QoSCompatibility,
    QoSPresetProfiles,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED = DurabilityPolicy.TRANSIENT_LOCAL


def test_depth_alone_means_keep_last_reliable_volatile():
    qos = QoSProfile(depth=3)
    assert (qos.history, qos.depth) == (HistoryPolicy.KEEP_LAST, 3)
    assert (qos.reliability, qos.durability) == (RELIABLE, DurabilityPolicy.VOLATILE)


@pytest.mark.parametrize("arguments", [{}, {"history": HistoryPolicy.KEEP_LAST}])
def test_profile_without_depth_is_invalid(arguments):
    with pytest.raises(InvalidQoSProfileException):
        QoSProfile(**arguments)


def test_keep_all_needs_no_depth():
    assert QoSProfile(history=HistoryPolicy.KEEP_ALL)._to_wire().history == 2


def test_wrong_policies_are_refused():
    with pytest.raises(ValueError, match="7"):
        QoSProfile(depth=1, reliability=7)
    with pytest.raises(AssertionError, match="deadline"):
        QoSProfile(depth=1, deadline=0.5)
    with pytest.raises(ValueError, match="greater than or equal to zero"):
        QoSProfile(depth=-1)
    with pytest.raises(AssertionError, match="speed"):
        QoSProfile(depth=1, speed=2)


def test_short_keys():
    assert RELIABLE.short_key == "reliable"
    assert ReliabilityPolicy.get_from_short_key("best_effort") == BEST_EFFORT
    assert DurabilityPolicy.short_keys()[-2:] == ["unknown", "best_available"]
    assert QoSPresetProfiles.get_from_short_key("sensor_data") == qos_profile_sensor_data


def test_presets():
    sensor = qos_profile_sensor_data._to_wire()
    assert (sensor.depth, sensor.reliability) == (5, 2)
    status = QoSPresetProfiles.ACTION_STATUS_DEFAULT.value._to_wire()
    assert (status.depth, status.durability) == (1, 1)
    assert QoSPresetProfiles.PARAMETERS.value.depth == 1000
    assert QoSPresetProfiles.ROSOUT_DEFAULT.value.lifespan == Duration(seconds=10)


def test_wire_round_trip():
    qos = QoSProfile(
        depth=7,
        reliability=BEST_EFFORT,
        durability=LATCHED,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        deadline=Duration(seconds=1.5),
        lifespan=Duration(seconds=2),
        liveliness_lease_duration=Duration(seconds=3),
    )
    assert QoSProfile._from_wire(qos._to_wire()) == qos
    assert QoSProfile(depth=1)._to_wire().deadline_ns == INFINITE


@pytest.mark.parametrize(
    ("offered", "requested", "word"),
    [
        ({"reliability": BEST_EFFORT}, {}, "Best effort"),
        ({}, {"durability": LATCHED}, "Volatile"),
        ({}, {"deadline": Duration(seconds=1)}, "deadline"),
        ({}, {"liveliness": LivelinessPolicy.MANUAL_BY_TOPIC}, "liveliness"),
    ],
)
def test_incompatible_profiles_come_with_the_reason(offered, requested, word):
    publisher, subscription = QoSProfile(depth=1, **offered), QoSProfile(depth=1, **requested)

    assert qos_check_compatible(subscription, publisher)[0] == QoSCompatibility.OK
    compatibility, reason = qos_check_compatible(publisher, subscription)
    assert compatibility == QoSCompatibility.ERROR
    assert word in reason


def test_unsaid_policies_are_a_warning():
    unsaid = QoSPresetProfiles.SYSTEM_DEFAULT.value
    compatibility, reason = qos_check_compatible(unsaid, QoSProfile(depth=1))
    assert compatibility == QoSCompatibility.WARNING
    assert "SYSTEM_DEFAULT" in reason
