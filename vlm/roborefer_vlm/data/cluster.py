# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts made on many machines by Ray; the same work, the same bytes.

The machines need this package and the source's data under the same paths. Parts travel to the
machine that started the run, and only that one writes.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from roborefer_vlm.data.work import Work
from roborefer_vlm.exceptions import ConfigurationError, GenerationError

# Shots on their way per core.
_AHEAD = 2


class Cluster:
    """Makes parts on a Ray cluster, one core per shot."""

    def __init__(self, address: str = "auto") -> None:
        """Remember where the cluster is; nothing is started.

        Args:
            address: As `ray.init` takes it: "auto" for the one this machine belongs to, "local"
                for one that is started here and stopped after the run, or "ray://HOST:PORT".

        Raises:
            ConfigurationError: Ray is not installed.
        """
        self.address = address
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise ConfigurationError(
                'Ray is not installed; pip install "roborefer-vlm[cluster]"'
            ) from error

    def __call__(self, work: Work, indices: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """See `roborefer_vlm.data.processes.Spread`.

        Raises:
            ConfigurationError: The cluster cannot be reached.
        """
        ray = self._ray
        began = not ray.is_initialized()
        if began:
            try:
                ray.init(address=self.address, log_to_driver=False, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigurationError(f"no Ray cluster at '{self.address}': {error}") from error
        try:
            yield from self._drawn(work, iter(indices))
        finally:
            if began:
                ray.shutdown()

    def _drawn(self, work: Work, indices: Iterator[int]) -> Iterator[tuple[int, bytes]]:
        ray = self._ray
        make = ray.remote(num_cpus=1, max_retries=3)(_make)
        # Sent once, not once per shot.
        shared = ray.put(work)
        running: dict[Any, int] = {}
        while True:
            most = max(1, _AHEAD * int(ray.cluster_resources().get("CPU", 1)))
            for index in islice(indices, max(0, most - len(running))):
                running[make.remote(shared, index)] = index
            if not running:
                return
            done, _ = ray.wait(list(running))
            for reference in done:
                index = running.pop(reference)
                try:
                    yield index, ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise GenerationError(str(error.cause)) from error
                except ray.exceptions.RayError as error:
                    raise GenerationError(
                        f"shot {index} was lost: {error}; the same command goes on"
                    ) from error


def _make(work: Work, index: int) -> bytes:
    return work.part(index).encode()
