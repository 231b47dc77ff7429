# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of training, from conversations to checkpoints; see docs/training.md."""
