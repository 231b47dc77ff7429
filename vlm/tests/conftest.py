# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""One thread per matrix product, here and in the programs that tests start.

The threads of BLAS wait for each other by spinning. For the small arrays of tests that takes more
processor time than the products, and on a machine that is busy many times more.
"""

from __future__ import annotations

import os

# Read when numpy is loaded, which nothing has done before this file.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
