# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Many tasks in one run, some of which fail, are interrupted or corrected."""

import threading
from pathlib import Path

import pytest
from roborefer_operator.core.ports import Outcome

from roborefer_msgs.msg import TaskStatus
from roborefer_msgs.srv import Instruct

TASKS = 200
# By then the history and the ring of pictures are full.
WARM = 120
# What the eighty tasks after that may add, MiB: a leak of one picture each would be 120.
MOST_GROWTH_MIB = 25.0
SENTENCES = (
    "put the red mug left of the plate", "undo", "find the mug", "pick the blue mug",
    "put it behind the plate", "no, left of the plate", "stop", "continue", "go to the plate",
)  # fmt: skip


def resident_mib():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.slow
def test_two_hundred_tasks_leave_memory_and_threads_as_they_were(start, tmp_path):
    with start(motion_s=0.04, **{"records.folder": str(tmp_path), "records.most": 20}) as bench:
        whole = bench.world.fail
        bench.world.fail = lambda what, number: (
            Outcome(208, "missed") if what == "pick" and number % 7 == 0 else whole(what, number)
        )
        ended = []
        for number in range(TASKS):
            answer = bench.call(Instruct, "instruct", text=SENTENCES[number % len(SENTENCES)])
            if answer.accepted:
                name = answer.task_id
                bench.until(
                    lambda s, name=name: (
                        s.task_id == name
                        and (s.state >= TaskStatus.SUCCEEDED or s.state == TaskStatus.ASKING)
                    )
                )
                ended.append(name)
            bench.statuses.clear()
            if number == WARM:
                before, threads = resident_mib(), threading.active_count()
        grown, more = resident_mib() - before, threading.active_count() - threads

    print(f"{len(ended)} tasks, {grown:.1f} MiB more")
    assert len(ended) > TASKS * 0.7
    assert grown < MOST_GROWTH_MIB
    assert more <= 0
    assert len([path for path in tmp_path.iterdir() if path.name[:2] == "20"]) <= 20
