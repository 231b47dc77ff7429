# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: F401
"""Describe a system of processes and start, watch and stop it."""

from __future__ import annotations

from launch import actions, conditions, event_handlers, events, logging, substitutions
from launch.action import Action, LaunchDescriptionEntity, SomeEntitiesType
from launch.conditions import Condition
from launch.event_handlers import EventHandler
from launch.events import Event
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_sources import LaunchDescriptionSource
from launch.launch_service import LaunchService
from launch.substitution import SomeSubstitutionsType, Substitution
