# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import pytest

# The whole robot on two busy cores takes more than a minute.
SLOW = {"test_ur5_sim_launch.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark launch tests as slow, which cannot carry a mark themselves."""
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(400))
