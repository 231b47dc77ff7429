# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One contract, `refer(query) -> answer`, and the engines behind it."""
