#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Has a sentence carried out, shows its steps, and lets you answer what the robot asks.

python3 do.py "put the red mug on the plate"
"""

import sys

from roborefer_bringup.client import Robot, RobotError

from roborefer_msgs.msg import Question, TaskStatus


def show(task: TaskStatus) -> None:
    """Print what happens now."""
    print(f"  {task.current_step}/{len(task.steps)} {task.message}")


def ask(question: Question) -> int | bool | str:
    """Let the person at the terminal answer."""
    reply = input(f"{question.text} ").strip()
    if reply.isdigit():
        return int(reply)
    return {"y": True, "yes": True, "n": False, "no": False}.get(reply.lower(), reply)


def main() -> int:
    """Do it; return 0 when everything was done."""
    sentence = " ".join(sys.argv[1:]) or "put the red mug on the plate"
    with Robot() as robot:
        try:
            done = robot.do(sentence, told=show)
        except RobotError as error:
            print(f"refused: {error}")
            return 1
    print("done" if done.succeeded else f"not done (code {done.code}): {done.message}")
    return 0 if done.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
