# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

# Helper modules stand beside the tests.
sys.path.insert(0, str(Path(__file__).parent))
