# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A publisher that is silent unless its node is active."""

from __future__ import annotations

from rclpy.logging import get_logger
from rclpy.publisher import Publisher

from .managed_entity import SimpleManagedEntity, TransitionCallbackReturn


class LifecyclePublisher(SimpleManagedEntity, Publisher):
    """Drops messages while inactive and says so once per inactive phase."""

    def __init__(self, *args, **kwargs):
        SimpleManagedEntity.__init__(self)
        Publisher.__init__(self, *args, **kwargs)
        self._warned = False

    def on_activate(self, state) -> TransitionCallbackReturn:
        self._warned = False
        return super().on_activate(state)

    def publish(self, msg) -> None:
        if self.is_activated:
            Publisher.publish(self, msg)
        elif not self._warned:
            self._warned = True
            get_logger("LifecyclePublisher").warning(
                f"Trying to publish message on the topic '{self.topic_name}', "
                "but the publisher is not activated"
            )
