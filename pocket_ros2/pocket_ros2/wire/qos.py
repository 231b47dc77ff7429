# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service on the wire: numbers, their text form in tokens, and the matching rules."""

from __future__ import annotations

from dataclasses import dataclass

RELIABLE, BEST_EFFORT = 1, 2
TRANSIENT_LOCAL, VOLATILE = 1, 2
KEEP_LAST, KEEP_ALL = 1, 2
AUTOMATIC, MANUAL_BY_TOPIC = 1, 3
INFINITE = 2**63 - 1
DEFAULT_DEPTH = 42
_SECOND = 10**9


class QosError(ValueError):
    """A text is not the QoS part of a token."""


@dataclass(frozen=True, slots=True)
class Qos:
    """What an endpoint offers or asks for; the defaults are those of rmw_zenoh."""

    reliability: int = RELIABLE
    durability: int = VOLATILE
    history: int = KEEP_LAST
    depth: int = DEFAULT_DEPTH
    deadline_ns: int = INFINITE
    lifespan_ns: int = INFINITE
    liveliness: int = AUTOMATIC
    lease_ns: int = INFINITE

    @property
    def effective_depth(self) -> int:
        """Depth of history; 0 stands for the default."""
        return self.depth or DEFAULT_DEPTH


_DEFAULT = Qos()


def _text(value: int, default: int) -> str:
    return "" if value == default else str(value)


def _duration_text(value_ns: int) -> str:
    return "," if value_ns in (0, INFINITE) else "{},{}".format(*divmod(value_ns, _SECOND))


def encode(qos: Qos) -> str:
    """Return the text that describes `qos` in a token; default values are left out."""
    return ":".join(
        (
            _text(qos.reliability, _DEFAULT.reliability),
            _text(qos.durability, _DEFAULT.durability),
            f"{_text(qos.history, _DEFAULT.history)},{_text(qos.effective_depth, DEFAULT_DEPTH)}",
            _duration_text(qos.deadline_ns),
            _duration_text(qos.lifespan_ns),
            f"{_text(qos.liveliness, _DEFAULT.liveliness)},{_duration_text(qos.lease_ns)}",
        )
    )


def _number(text: str, default: int, allowed: range) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) not in allowed:
        raise QosError(f"{text!r} is not a number from {allowed[0]} to {allowed[-1]}")
    return int(text)


def _duration(seconds: str, nanoseconds: str) -> int:
    if not seconds and not nanoseconds:
        return INFINITE
    whole = _number(seconds, 0, range(2**63)) * _SECOND
    return min(whole + _number(nanoseconds, 0, range(2**63)), INFINITE) or INFINITE


def decode(text: str) -> Qos:
    """Return the QoS that a token describes.

    Raises:
        QosError: a field is missing or holds a value that no endpoint can have.
    """
    fields = [field.split(",") for field in text.split(":")]
    if [len(field) for field in fields] != [1, 1, 2, 2, 2, 3]:
        raise QosError(f"{text!r} does not have the form r:d:h,n:s,ns:s,ns:l,s,ns")
    (reliability,), (durability,), (history, depth), deadline, lifespan, liveliness = fields
    return Qos(
        _number(reliability, _DEFAULT.reliability, range(1, 3)),
        _number(durability, _DEFAULT.durability, range(1, 3)),
        _number(history, _DEFAULT.history, range(1, 3)),
        _number(depth, DEFAULT_DEPTH, range(2**63)) or DEFAULT_DEPTH,
        _duration(*deadline),
        _duration(*lifespan),
        _number(liveliness[0], _DEFAULT.liveliness, range(1, 4)),
        _duration(*liveliness[1:]),
    )


def incompatible_policies(offered: Qos, requested: Qos) -> list[str]:
    """Return the policies that keep a publisher and a subscription apart in DDS; none: they match.

    The last name is the one to report, as `rclpy` does.
    """
    rules = {
        "DURABILITY": offered.durability <= requested.durability,
        "DEADLINE": offered.deadline_ns <= requested.deadline_ns,
        "LIVELINESS": offered.liveliness >= requested.liveliness
        and offered.lease_ns <= requested.lease_ns,
        "RELIABILITY": offered.reliability <= requested.reliability,
    }
    return [name for name, satisfied in rules.items() if not satisfied]
