# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""An executive in a world of words, with a clock that goes with the ticks."""

from roborefer_operator.core.behaviours import Policy
from roborefer_operator.core.executive import Executive
from roborefer_operator.core.language.replies import Reply
from roborefer_operator.testing import WordWorld

TICK_NS = 50_000_000


class Bench:
    """An executive, its world, and what it told."""

    def __init__(self, limits=None, **policy):
        self.world = WordWorld(
            {"red mug": (100.0, 100.0), "blue mug": (300.0, 100.0), "plate": (200.0, 200.0)}
        )
        self.told = []
        self.defects = []
        self.executive = Executive(
            self.world,
            Policy(**policy),
            limits,
            changed=lambda task: self.told.append((task.id, task.state)),
            defect=self.defects.append,
        )

    def tick(self, times=1):
        for _ in range(times):
            self.world.time_ns += TICK_NS
            self.executive.tick()

    def until(self, task, wanted, most=400):
        for _ in range(most):
            if wanted(task):
                return task
            self.tick()
        raise AssertionError(f"{task} did not come to what is wanted")

    def run(self, sentence, **options):
        task = self.executive.instruct(sentence, **options)
        return self.until(task, lambda t: t.state.ended or t.question is not None)

    def answer(self, task, kind, pixel=None, **fields):
        reply = Reply(kind, **fields)
        self.executive.answer(task.id, task.question.id, reply, pixel)
        asked = task.question
        return self.until(task, lambda t: t.question is not asked or t.state.ended)

    def asked(self, what):
        return [phrase for name, phrase in self.world.log if name == what]
