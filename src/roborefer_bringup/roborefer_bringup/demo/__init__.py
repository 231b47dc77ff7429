# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Three sentences of rising difficulty in the simulated cell, judged, filmed and reported."""
