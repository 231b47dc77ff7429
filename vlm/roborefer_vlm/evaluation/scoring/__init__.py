# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores: the strict one, and beside it the one of the benchmark's own evaluator."""
