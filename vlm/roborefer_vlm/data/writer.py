# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A data set as a folder, in RefSpatial's layout: pictures, depth, and one JSON list per group.

    DIR/image/<name>.jpg    DIR/depth/<name>.png    DIR/reasoning_template_qa.json ...

Each JSON file is read by `roborefer_vlm.training.samples` and by the original training, with
`DIR/image` and `DIR/depth` as its folders. It has one record per line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from roborefer_vlm.data.archives import whole_file, write_whole
from roborefer_vlm.data.records import Group
from roborefer_vlm.data.work import Part


def write_folder(out: Path, parts: Iterable[Part]) -> None:
    """Write parts, in their order; a group without records gets no file."""
    with ExitStack() as files:
        lists: dict[str, IO[bytes]] = {}
        for part in parts:
            for name, data in part.files.items():
                write_whole(out / name, data)
            for group, record in part.records:
                if group not in lists:
                    path = out / f"{Group(group).value}.json"
                    lists[group] = files.enter_context(whole_file(path))
                    lists[group].write(b"[\n")
                else:
                    lists[group].write(b",\n")
                line = json.dumps(record, ensure_ascii=False, allow_nan=False)
                lists[group].write(line.encode())
        for stream in lists.values():
            stream.write(b"\n]\n")
