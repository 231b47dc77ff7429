# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `roborefer`, for a Python whose scripts are not on the path."""

import sys

from roborefer_vlm.cli.main import main

sys.exit(main())
