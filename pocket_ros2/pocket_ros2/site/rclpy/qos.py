# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service: policies, profiles and their compatibility."""

from __future__ import annotations

import warnings
from enum import Enum, IntEnum
from typing import Any

from pocket_ros2.wire import Qos
from pocket_ros2.wire.qos import INFINITE, incompatible_policies

from rclpy.duration import Duration


class QoSPolicyKind(IntEnum):
    INVALID = 1 << 0
    DURABILITY = 1 << 1
    DEADLINE = 1 << 2
    LIVELINESS = 1 << 3
    RELIABILITY = 1 << 4
    HISTORY = 1 << 5
    LIFESPAN = 1 << 6
    DEPTH = 1 << 7
    LIVELINESS_LEASE_DURATION = 1 << 8
    AVOID_ROS_NAMESPACE_CONVENTIONS = 1 << 9


class InvalidQoSProfileException(Exception):
    """The policies given do not make a profile."""

    def __init__(self, *args: Any) -> None:
        super().__init__("Invalid QoSProfile", *args)


class QoSPolicyEnum(IntEnum):
    @classmethod
    def short_keys(cls) -> list[str]:
        """Return the names of all values as the command line spells them."""
        return [member.name.lower() for member in cls]

    @classmethod
    def get_from_short_key(cls, name: str) -> int:
        return cls[name.upper()].value

    @property
    def short_key(self) -> str:
        return self.name.lower()


class ReliabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    RELIABLE = 1
    BEST_EFFORT = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class DurabilityPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    TRANSIENT_LOCAL = 1
    VOLATILE = 2
    UNKNOWN = 3
    BEST_AVAILABLE = 4


class HistoryPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    KEEP_LAST = 1
    KEEP_ALL = 2
    UNKNOWN = 3


class LivelinessPolicy(QoSPolicyEnum):
    SYSTEM_DEFAULT = 0
    AUTOMATIC = 1
    MANUAL_BY_TOPIC = 3
    UNKNOWN = 4
    BEST_AVAILABLE = 5


QoSReliabilityPolicy = ReliabilityPolicy
QoSDurabilityPolicy = DurabilityPolicy
QoSHistoryPolicy = HistoryPolicy
QoSLivelinessPolicy = LivelinessPolicy


class QoSProfile:
    """Policies of a publisher, subscription, client or service; give at least a depth."""

    __slots__ = (
        "_avoid_ros_namespace_conventions",
        "_deadline",
        "_depth",
        "_durability",
        "_history",
        "_lifespan",
        "_liveliness",
        "_liveliness_lease_duration",
        "_reliability",
    )

    def __init__(self, **kwargs: Any) -> None:
        known = {slot[1:]: slot for slot in self.__slots__}
        unknown = [name for name in kwargs if name not in known]
        if unknown:
            raise AssertionError(
                f"Invalid arguments passed to constructor: {', '.join(unknown)}; "
                f"known: {', '.join(known)}"
            )
        if "history" not in kwargs:
            if "depth" not in kwargs:
                raise InvalidQoSProfileException("History and/or depth settings are required.")
            kwargs["history"] = HistoryPolicy.KEEP_LAST
        elif kwargs["history"] == HistoryPolicy.KEEP_LAST and "depth" not in kwargs:
            raise InvalidQoSProfileException("History set to KEEP_LAST without a depth setting.")
        for name, value in {
            "history": None,
            "depth": 0,
            "reliability": ReliabilityPolicy.RELIABLE,
            "durability": DurabilityPolicy.VOLATILE,
            "lifespan": Duration(),
            "deadline": Duration(),
            "liveliness": LivelinessPolicy.SYSTEM_DEFAULT,
            "liveliness_lease_duration": Duration(),
            "avoid_ros_namespace_conventions": False,
            **kwargs,
        }.items():
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QoSProfile) and all(
            getattr(self, slot) == getattr(other, slot) for slot in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{slot[1:]}={getattr(self, slot)!s}" for slot in self.__slots__)
        return f"QoSProfile({values})"

    def _to_wire(self, offered: bool = True) -> Qos:
        """Return what is written in tokens; unsaid policies become the defaults of rmw_zenoh."""
        best_effort = self.reliability == ReliabilityPolicy.BEST_EFFORT or (
            self.reliability == ReliabilityPolicy.BEST_AVAILABLE and not offered
        )
        latched = self.durability == DurabilityPolicy.TRANSIENT_LOCAL or (
            self.durability == DurabilityPolicy.BEST_AVAILABLE and offered
        )
        manual = self.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
        return Qos(
            reliability=2 if best_effort else 1,
            durability=1 if latched else 2,
            history=2 if self.history == HistoryPolicy.KEEP_ALL else 1,
            depth=int(self.depth) or Qos().depth,
            deadline_ns=self.deadline.nanoseconds or INFINITE,
            lifespan_ns=self.lifespan.nanoseconds or INFINITE,
            liveliness=3 if manual else 1,
            lease_ns=self.liveliness_lease_duration.nanoseconds or INFINITE,
        )

    @classmethod
    def _from_wire(cls, qos: Qos) -> QoSProfile:
        return cls(
            history=HistoryPolicy(qos.history),
            depth=qos.depth,
            reliability=ReliabilityPolicy(qos.reliability),
            durability=DurabilityPolicy(qos.durability),
            lifespan=Duration(nanoseconds=qos.lifespan_ns),
            deadline=Duration(nanoseconds=qos.deadline_ns),
            liveliness=LivelinessPolicy(qos.liveliness),
            liveliness_lease_duration=Duration(nanoseconds=qos.lease_ns),
        )


def _policy(name: str, kind: type) -> property:
    slot = f"_{name}"

    def check(self: QoSProfile, value: Any) -> None:
        if issubclass(kind, IntEnum):
            value = kind(value)
        elif not isinstance(value, kind):
            raise AssertionError(f"{name} must be a {kind.__name__}, not {value!r}")
        if kind is int and value < 0:
            raise ValueError(f"depth must be greater than or equal to zero, it is {value}")
        if name == "depth" and value == 0 and self.history == HistoryPolicy.KEEP_LAST:
            warnings.warn(
                "A zero depth with KEEP_LAST doesn't make sense; "
                f"it becomes {Qos().depth}, the default of the middleware",
                stacklevel=3,
            )
        setattr(self, slot, value)

    return property(lambda self: getattr(self, slot), check)


for _name, _kind in {
    "history": HistoryPolicy,
    "depth": int,
    "reliability": ReliabilityPolicy,
    "durability": DurabilityPolicy,
    "lifespan": Duration,
    "deadline": Duration,
    "liveliness": LivelinessPolicy,
    "liveliness_lease_duration": Duration,
    "avoid_ros_namespace_conventions": bool,
}.items():
    setattr(QoSProfile, _name, _policy(_name, _kind))

qos_profile_default = QoSProfile(depth=10)
qos_profile_unknown = QoSProfile(
    history=HistoryPolicy.UNKNOWN,
    reliability=ReliabilityPolicy.UNKNOWN,
    durability=DurabilityPolicy.UNKNOWN,
    liveliness=LivelinessPolicy.UNKNOWN,
)
qos_profile_system_default = QoSProfile(
    history=HistoryPolicy.SYSTEM_DEFAULT,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
qos_profile_sensor_data = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
qos_profile_services_default = QoSProfile(depth=10)
qos_profile_parameters = QoSProfile(depth=1000)
qos_profile_parameter_events = QoSProfile(depth=1000)
qos_profile_action_status_default = QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
qos_profile_rosout_default = QoSProfile(
    depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL, lifespan=Duration(seconds=10)
)
qos_profile_best_available = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.BEST_AVAILABLE,
    durability=DurabilityPolicy.BEST_AVAILABLE,
    liveliness=LivelinessPolicy.BEST_AVAILABLE,
)


class QoSPresetProfiles(Enum):
    UNKNOWN = qos_profile_unknown
    DEFAULT = qos_profile_default
    SYSTEM_DEFAULT = qos_profile_system_default
    SENSOR_DATA = qos_profile_sensor_data
    SERVICES_DEFAULT = qos_profile_services_default
    PARAMETERS = qos_profile_parameters
    PARAMETER_EVENTS = qos_profile_parameter_events
    ACTION_STATUS_DEFAULT = qos_profile_action_status_default
    BEST_AVAILABLE = qos_profile_best_available
    ROSOUT_DEFAULT = qos_profile_rosout_default

    @classmethod
    def short_keys(cls) -> list[str]:
        return [name.lower() for name in cls.__members__]

    @classmethod
    def get_from_short_key(cls, name: str) -> QoSProfile:
        return cls[name.upper()].value


class QoSCompatibility(IntEnum):
    OK = 0
    WARNING = 1
    ERROR = 2


_REASONS = {
    "RELIABILITY": "Best effort publisher and reliable subscription",
    "DURABILITY": "Volatile publisher and transient local subscription",
    "DEADLINE": "Subscription deadline is shorter than what the publisher promises",
    "LIVELINESS": "Subscription liveliness is stricter than what the publisher promises",
}


def qos_check_compatible(
    publisher_qos: QoSProfile, subscription_qos: QoSProfile
) -> tuple[QoSCompatibility, str]:
    """Tell whether DDS would connect the two, and the reasons why not."""
    reasons = [
        f"ERROR: {_REASONS[policy]};"
        for policy in incompatible_policies(
            publisher_qos._to_wire(), subscription_qos._to_wire(offered=False)
        )
    ]
    if reasons:
        return QoSCompatibility.ERROR, "".join(reasons)
    unsure = [
        f"WARNING: {side} {policy} is {value.name};"
        for side, qos in (("Publisher", publisher_qos), ("Subscription", subscription_qos))
        for policy in ("reliability", "durability")
        if (value := getattr(qos, policy)).name in ("SYSTEM_DEFAULT", "UNKNOWN")
    ]
    return (QoSCompatibility.WARNING if unsure else QoSCompatibility.OK), "".join(unsure)
