# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Point at what a sentence means in a picture; prints the answer as JSON, as the server sends it.

The default engine works out the answer from metric depth by rules. A vision-language model
(--engine roborefer:DIRECTORY, or a server with --url) also answers from a picture alone.

exit codes: 0 answered; 2 usage or bad input; 3 nothing found, ambiguous, not understood or an
invalid answer (the JSON tells which); 4 the server cannot be reached; 5 the engine failed
"""

from __future__ import annotations

import argparse
import json
import sys
from math import isfinite
from pathlib import Path
from threading import TIMEOUT_MAX, Event, Timer
from typing import TYPE_CHECKING

from roborefer_vlm.cli import asking, exits
from roborefer_vlm.exceptions import (
    CancelledError,
    ConfigurationError,
    DeadlineError,
    QueryError,
)

if TYPE_CHECKING:
    from roborefer_vlm.types import Answer, GivenObject, Intrinsics, Query


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="colour picture")
    parser.add_argument("text", metavar="SENTENCE", help='such as "the mug left of the bowl"')
    scene = parser.add_argument_group("what is known about the scene")
    scene.add_argument(
        "--depth", type=Path, metavar="FILE", help="metric depth: 16 bit PNG, or .npy in metres"
    )
    scene.add_argument(
        "--depth-scale",
        type=float,
        metavar="METRES",
        help="metres per unit of --depth of integers, such as 0.001; also read from --intrinsics",
    )
    scene.add_argument(
        "--intrinsics",
        metavar="JSON",
        help="file, or text between braces, with fx, fy, cx, cy in pixels, perhaps depth_scale_m,"
        " and width and height of the picture (in text they may be left out)",
    )
    scene.add_argument(
        "--objects",
        type=Path,
        metavar="FILE",
        help="PNG of object ids, with a list of {id, name} in a JSON file of the same name",
    )
    asking.add_arguments(parser)
    parser.add_argument("--samples", type=int, default=1, help="answers to draw (default: 1)")
    parser.add_argument("--deadline", type=float, default=60.0, metavar="S", help="default: 60")
    parser.add_argument("--out", type=Path, metavar="FILE", help="annotated picture to write")
    parser.add_argument(
        "--json", action="store_true", help="print the JSON in one line instead of indented"
    )


def run(args: argparse.Namespace) -> int:
    """Answer one query and return the exit code.

    Raises:
        ReferringError: There is no answer; `main` turns it into a message and an exit code.
    """
    from roborefer_vlm.server.wire import answer_to_json
    from roborefer_vlm.types import Outcome

    asking.check_token_use(args)
    if not (isfinite(args.deadline) and args.deadline > 0):
        raise ConfigurationError(f"--deadline is {args.deadline}; more than 0 s is needed")
    if args.out is not None:
        _check_writable(args.out)
    query = _query(args)
    answer = _ask(args, query)
    if args.out is not None:
        _draw(args.out, query, answer)
    body = answer_to_json(answer, request_id="", width=query.width, height=query.height)
    del body["request_id"]
    text = json.dumps(body, indent=None if args.json else 2, ensure_ascii=False)
    sys.stdout.write(f"{text}\n")
    return exits.DONE if answer.outcome in (Outcome.OK, Outcome.TEXT) else exits.NO_ANSWER


def _query(args: argparse.Namespace) -> Query:
    from roborefer_vlm.picture_files import Source, read_depth, read_rgb
    from roborefer_vlm.types import Query, Sampling

    # A camera's note about its orientation holds for the picture alone, not for its depth.
    image = read_rgb(Source.of(args.image), upright=args.depth is None)
    intrinsics, scale = _camera(args.intrinsics, image.shape[1], image.shape[0])
    depth = None
    if args.depth_scale is not None:
        if args.depth is None:
            raise ConfigurationError("--depth-scale has no meaning without --depth")
        if not (isfinite(args.depth_scale) and args.depth_scale > 0):
            raise ConfigurationError(f"--depth-scale is {args.depth_scale}; more than 0 is needed")
        scale = args.depth_scale
    if args.depth is not None:
        depth = read_depth(Source.of(args.depth), scale)
    return Query(
        image=image,
        text=args.text,
        depth_m=depth,
        intrinsics=intrinsics,
        objects=_objects(args.objects),
        sampling=Sampling(samples=args.samples),
    )


def _camera(given: str | None, width: int, height: int) -> tuple[Intrinsics | None, float | None]:
    if given is None:
        return None, None
    from roborefer_vlm.evaluation.benchmarks.own import camera_of, read_camera

    if not given.lstrip().startswith("{"):
        return read_camera(Path(given))
    try:
        fields = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"--intrinsics is no JSON: {error}") from error
    return camera_of("--intrinsics", {"width": width, "height": height, **fields})


def _objects(path: Path | None) -> tuple[GivenObject, ...]:
    if path is None:
        return ()
    from roborefer_vlm.evaluation.benchmarks.own import read_names
    from roborefer_vlm.evaluation.records import Instances, marked_objects
    from roborefer_vlm.picture_files import Source

    if path.suffix == ".json":
        path = path.with_suffix(".png")
    marked = marked_objects(Instances(Source.of(path), read_names(path.with_suffix(".json"))))
    if not marked:
        # Without objects an engine would look for its own, which is not what was asked for.
        raise QueryError(f"{path} marks none of the things that its JSON file names")
    return marked


def _ask(args: argparse.Namespace, query: Query) -> Answer:
    if args.url is not None:
        with asking.server_client(args.url, args.token_file) as client:
            return client.refer(query, deadline_s=args.deadline)
    from roborefer_vlm.backends.registry import create_engine

    engine = create_engine(args.engine or asking.DEFAULT_ENGINE)
    over = Event()
    timer = Timer(min(args.deadline, TIMEOUT_MAX), over.set)
    timer.daemon = True
    try:
        if engine.info.needs_depth:
            _check_depth(query, engine.info.name)
        timer.start()
        return engine.refer(query, cancelled=over)
    except CancelledError as error:
        raise DeadlineError(f"no answer within {args.deadline:g} s") from error
    finally:
        timer.cancel()
        engine.close()


def _check_depth(query: Query, engine: str) -> None:
    missing = [
        option
        for option, value in (("--depth", query.depth_m), ("--intrinsics", query.intrinsics))
        if value is None
    ]
    if missing:
        raise QueryError(
            f"engine {engine} works out places from metric depth; give {' and '.join(missing)},"
            " or ask a vision-language model: --engine roborefer:DIRECTORY, --engine"
            " openai:URL#MODEL, or --url of a server"
        )


def _draw(path: Path, query: Query, answer: Answer) -> None:
    from roborefer_vlm.drawing import annotate, encode_jpeg, encode_png

    picture = annotate(query.image, query.text, answer)
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    _write(path, encode_jpeg(picture, 92) if is_jpeg else encode_png(picture))


def _check_writable(path: Path) -> None:
    """Refuse a path that cannot be written before an answer is worked out for it."""
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
        raise ConfigurationError(f"{path} cannot be written: {why}")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
