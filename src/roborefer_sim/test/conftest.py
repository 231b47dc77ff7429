# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
from roborefer_sim.core.gl import choose_gl

# Before any test imports MuJoCo, which reads the choice while it is imported.
choose_gl()


@pytest.fixture(scope="session")
def library():
    from roborefer_sim.core.library import standard_library

    return standard_library()
