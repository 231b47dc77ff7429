# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes pictures in a thread of its own, which owns the graphics context.

The physics thread hands over a copy of its state and goes on; it waits only when the picture
before is not finished yet, so that no picture is ever left out. What a picture shows depends on
the state, the seed and its number alone, never on the timing of threads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from roborefer_sim.core.camera import Photographer, photographer
from roborefer_sim.core.cell import Layout
from roborefer_sim.core.lens import Lens
from roborefer_sim.core.sensor import SensorModel, measure


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture as the camera gives it.

    Attributes:
        step: Time step of the physics at which it was taken.
        rgb: uint8, shape (height, width, 3).
        depth_m: float32 metres, shape (height, width); 0 is invalid.
    """

    step: int
    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state of a model, to look at."""

    model: mujoco.MjModel
    data: mujoco.MjData
    layout: Layout


@dataclass(frozen=True, eq=False)
class _Exposure:
    model: mujoco.MjModel
    qpos: npt.NDArray[np.float64]
    step: int
    number: int


class Studio:
    """Takes frames of changing models; `failure` is what ended it, if anything did."""

    def __init__(
        self,
        layout: Layout,
        lens: Lens,
        sensor: SensorModel | None,
        seed: int,
        deliver: Callable[[Frame], None],
    ) -> None:
        """Prepare a studio; `start` starts it.

        Args:
            layout: Where the camera stands, wide enough for the lens.
            lens: Makes the camera's picture out of the drawn one.
            sensor: Its flaws; None is a camera without any.
            seed: Of the flaws.
            deliver: Is given every frame, in the studio's thread.
        """
        self._layout, self._lens, self._sensor, self._seed = layout, lens, sensor, seed
        self._deliver = deliver
        self._waiting: queue.Queue[_Exposure | None] = queue.Queue(maxsize=1)
        self._idle = threading.Event()
        self._idle.set()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the present picture and end. Calling it twice is allowed."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def expose(self, model: mujoco.MjModel, data: mujoco.MjData, step: int, number: int) -> None:
        """Have a picture taken of this very state; number counts the pictures.

        Raises:
            RenderingError: Pictures cannot be taken (any more).
        """
        # Waits for the picture before the one that is being taken now, at most.
        self._idle.wait()
        if self.failure is not None:
            raise self.failure
        self._idle.clear()
        self._waiting.put(_Exposure(model, data.qpos.copy(), step, number))

    def _run(self) -> None:
        camera: Photographer | None = None
        sight: Snapshot | None = None
        try:
            while (exposure := self._waiting.get()) is not None:
                if sight is None or sight.model is not exposure.model:
                    if camera is not None:
                        camera.close()
                    sight = Snapshot(exposure.model, mujoco.MjData(exposure.model), self._layout)
                    camera = photographer(sight)
                assert camera is not None
                sight.data.qpos[:] = exposure.qpos
                mujoco.mj_kinematics(sight.model, sight.data)
                mujoco.mj_comPos(sight.model, sight.data)
                mujoco.mj_camlight(sight.model, sight.data)
                self._deliver(self._develop(camera, exposure))
                self._idle.set()
        except BaseException as error:
            self.failure = error
        finally:
            self._idle.set()
            if camera is not None:
                camera.close()

    def _develop(self, camera: Photographer, exposure: _Exposure) -> Frame:
        view = self._lens.refract(camera.take(masks=False))
        if self._sensor is not None:
            rng = np.random.default_rng([self._seed, exposure.number])
            view = measure(view, self._layout.camera.focal, self._sensor, rng)
        return Frame(exposure.step, view.rgb, view.depth_m)
