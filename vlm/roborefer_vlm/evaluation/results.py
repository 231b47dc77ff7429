# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""What came of each question, and the file that a run appends it to.

The file answers.jsonl holds one JSON object per line: first the configuration of the run, then
one result per question in the order in which they were finished. Lines are only ever appended, so
a killed run loses at most the line it was writing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from roborefer_vlm.exceptions import ConfigurationError, EngineError
from roborefer_vlm.server.wire import answer_from_json, answer_to_json
from roborefer_vlm.types import Answer


class Failure(StrEnum):
    """Why there is no answer."""

    # The deadline of the question passed.
    TIMEOUT = "timeout"
    # The engine says that the query lacks something it needs.
    REFUSED = "refused"
    # The engine or server failed on this question.
    ERROR = "error"


@dataclass(frozen=True)
class Result:
    """What came of a question.

    Attributes:
        question: Its id.
        width: Columns of the picture that pixels count in.
        height: Rows of it.
        answer: What the engine said; None when there is a failure.
        failure: Why there is no answer; None when there is one.
        message: Words about the failure, or "".
        wall_s: Seconds from asking to answer, as the asker saw them, retries included.
    """

    question: str
    width: int
    height: int
    answer: Answer | None = None
    failure: Failure | None = None
    message: str = ""
    wall_s: float = 0.0


class ResultLog:
    """The file of a run, open for appending; one writer at a time.

    Args:
        path: answers.jsonl.
        config: What the run is about; two runs that differ in it must not share a file.
        resume: Go on with a file that is there already.

    Raises:
        ConfigurationError: The file is there and resume is off, it belongs to another
            configuration, or a line in its middle is damaged.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.results: dict[str, Result] = {}
        if path.exists() and _whole_lines(path.read_bytes()):
            if not resume:
                raise ConfigurationError(
                    f"{path} is there already; go on with --resume, or name another directory"
                )
            found, self.results = read_results(path)
            _check_config(path, found, config)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")
        # What a killed run was writing when it ended.
        self._file.truncate(len(_whole_lines(path.read_bytes())))
        if path.stat().st_size == 0:
            self._write({"config": dict(config), "key": config_key(config)})

    def append(self, result: Result) -> None:
        """Write a result down; it is on its way to the disk when this returns."""
        self._write({"result": result_to_json(result)})
        self.results[result.question] = result

    def close(self) -> None:
        """Close the file; calling it twice is allowed."""
        self._file.close()

    def __enter__(self) -> ResultLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        # One write per line: a kill leaves whole lines and at most one torn one at the end.
        # What a model wrote may hold halves of surrogate pairs; "\\ud800" is their JSON.
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
        self._file.write(line + b"\n")
        self._file.flush()


def read_results(path: Path) -> tuple[dict[str, Any], dict[str, Result]]:
    """Return configuration and results by question of a run; a torn last line is left out.

    Raises:
        ConfigurationError: The file cannot be read, or a line of it is damaged.
    """
    try:
        lines = _whole_lines(path.read_bytes()).splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    config = _row(path, lines[0], 1).get("config") if lines else None
    if not isinstance(config, dict):
        raise ConfigurationError(f"{path}: the first line holds no configuration")
    results: dict[str, Result] = {}
    for number, line in enumerate(lines[1:], start=2):
        row = _row(path, line, number)
        try:
            result = result_from_json(row["result"])
        except (KeyError, TypeError, ValueError, EngineError) as error:
            raise ConfigurationError(
                f"{path}: line {number} holds no result ({error!r})"
            ) from error
        results[result.question] = result
    return config, results


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _row(path: Path, line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{path}: line {number} is damaged") from error
    if not isinstance(row, dict):
        raise ConfigurationError(f"{path}: line {number} is no object")
    return row


def config_key(config: Mapping[str, Any]) -> str:
    """Return a short name that is equal for equal configurations only."""
    text = json.dumps(config, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def result_to_json(result: Result) -> dict[str, Any]:
    """Return a result as plain data; answers have the form that the server sends."""
    answer = None
    if result.answer is not None:
        answer = answer_to_json(
            result.answer, request_id="", width=result.width, height=result.height
        )
        del answer["request_id"]
    return {
        "question": result.question,
        "width": result.width,
        "height": result.height,
        "answer": answer,
        "failure": result.failure.value if result.failure else None,
        "message": result.message,
        "wall_s": result.wall_s,
    }


def result_from_json(row: Mapping[str, Any]) -> Result:
    """Return the result that `result_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError, EngineError: It is none.
    """
    failure = row["failure"]
    return Result(
        question=str(row["question"]),
        width=int(row["width"]),
        height=int(row["height"]),
        answer=answer_from_json(row["answer"]) if row["answer"] is not None else None,
        failure=Failure(failure) if failure is not None else None,
        message=str(row["message"]),
        wall_s=float(row["wall_s"]),
    )


def _check_config(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if config_key(found) == config_key(wanted):
        return
    names = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    differences = "; ".join(
        f"{name} was {found.get(name)!r} and is {wanted.get(name)!r}" for name in names
    )
    raise ConfigurationError(
        f"{path} belongs to another run and results are not mixed: {differences};"
        " name another directory"
    )
