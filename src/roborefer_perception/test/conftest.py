# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

# Tests share modules of this folder, which pytest does not put on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))
