# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of the package; every message names the bad value and what would be right."""

from __future__ import annotations


class ReferringError(Exception):
    """Base class of everything this package raises on purpose."""


class QueryError(ReferringError, ValueError):
    """A field of a query cannot be used; nothing was computed."""


class PictureError(QueryError):
    """A picture or depth map cannot be decoded, is too large, or does not fit the others."""


class CheckpointError(ReferringError):
    """A checkpoint directory lacks something, or what it holds does not fit together."""


class ConfigurationError(ReferringError, ValueError):
    """An engine, server or benchmark was configured with a value that cannot work."""


class EngineError(ReferringError):
    """An engine failed on a query that is as it should be; its log has the details."""


class AnswerError(ReferringError):
    """What a model wrote does not follow any grammar it may follow."""


class UnavailableError(ReferringError):
    """An engine or server cannot be reached, is starting, stopping, or has no place left."""


class DeadlineError(UnavailableError):
    """The time allowed for an answer is over."""


class CancelledError(ReferringError):
    """The caller took the query back."""


class RecordError(ReferringError, ValueError):
    """A record of a benchmark or data set cannot be used; nothing was dropped for it.

    Attributes:
        file: Where the record stands.
        record: Its id, or its place in the file.
        field: The field that is missing or wrong, or "".
        problem: What is wrong.
    """

    def __init__(self, file: str, record: str, field: str, problem: str) -> None:
        # All arguments go to the base class, so that the error can leave a worker process.
        super().__init__(file, record, field, problem)
        self.file = file
        self.record = record
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        where = f"record {self.record}" + (f", field '{self.field}'" if self.field else "")
        return f"{self.file}: {where}: {self.problem}"


class SourceError(ReferringError):
    """A shot of a data source cannot be made or read; the others can."""


class TrainingError(ReferringError):
    """Training cannot go on: a loss or gradient is no number, or a run does not fit its folder."""


class GenerationError(ReferringError):
    """Data cannot be made any further: a maker failed, or a worker died."""
