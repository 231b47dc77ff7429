# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The web console without ROS: who may come in, what is shown, what a page may ask for."""
