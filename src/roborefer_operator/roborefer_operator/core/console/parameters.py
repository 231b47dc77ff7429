# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the console's parameters: declaration, checks, sample file and README.

Type `python3 -m roborefer_operator.core.console.parameters` to print config/console.yaml, with
`table` behind it the table of the README.
"""

from __future__ import annotations

import sys

from roborefer_common.core.parameters import Row, readme_table, sample_yaml

TABLE = (
    Row("address", "127.0.0.1", "Where to listen; others than this machine need hosts too.",
        fixed=True),
    Row("port", 8750, "Where to listen; 0 is any free port.", 0, 65535, fixed=True),
    Row("hosts", [""], "Names, with port, under which a proxy shows the page.", fixed=True),
    Row("token", "", "Of the address; empty: from token_file, else a new one.", fixed=True),
    Row("token_file", "", "Private file that holds the token; empty is none.", fixed=True),
    Row("pages.most", 8, "Pages that may be open at once.", 1, 100, fixed=True),
    Row("picture.rate", 5.0, "Most pictures per second and page.", 0.2, 30.0, fixed=True),
    Row("server.wait_s", 5.0, "Longest answer of the executive.", 0.5, 60.0, fixed=True),
    Row("scene.enabled", True, "Whether there is a 3D view.", fixed=True),
    Row("scene.frame", "base_link", "Frame of the 3D view.", fixed=True),
    Row("scene.rate", 2.0, "How often the 3D view is brought up to date, Hz.", 0.1, 10.0,
        fixed=True),
    Row("scene.cloud_period_s", 2.0, "Between two clouds of the depth camera.", 0.5, 600.0,
        fixed=True),
)  # fmt: skip


def sample_file() -> str:
    """Return the text of config/console.yaml."""
    made_by = "python3 -m roborefer_operator.core.console.parameters > config/console.yaml"
    return sample_yaml(TABLE, {}, "The web console on this machine.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "table" in sys.argv else sample_file(), end="")
