# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a benchmark through the HTTP server and report on it.

Every question goes through the same path as a robot's: to the server at --url, or to one that is
started on 127.0.0.1 for --engine. The output directory gets answers.jsonl (one line per answer,
as it comes in), report.json and report.html. A run that was stopped goes on with --resume.

exit codes: 0 all questions asked, whatever the score; 2 usage, or a record that cannot be used;
4 the server cannot be reached; 130 interrupted
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roborefer_vlm.cli import asking, exits

if TYPE_CHECKING:
    from roborefer_vlm.evaluation.records import Benchmark
    from roborefer_vlm.evaluation.results import Result
    from roborefer_vlm.evaluation.runner import RunSettings
    from roborefer_vlm.evaluation.scoring.score import Scored
    from roborefer_vlm.server.client import Client

_NAMES = "own, refspatial, refspatial-expand, robospatial-home, sim, where2place"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("name", metavar="NAME", help=_NAMES)
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="directory of the benchmark; or hub:OWNER/DATASET to fetch it",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    asking.add_arguments(parser)
    run = parser.add_argument_group("the run")
    run.add_argument("--resume", action="store_true", help="go on with the run in --out")
    run.add_argument(
        "--limit", type=int, metavar="N", help="only the first N questions of each category"
    )
    run.add_argument(
        "--split", action="append", default=[], metavar="NAME", help="category; may come twice"
    )
    run.add_argument("--concurrency", type=int, default=4, metavar="N", help="default: 4")
    run.add_argument(
        "--deadline", type=float, default=60.0, metavar="S", help="per question, default: 60"
    )
    run.add_argument("--compare", type=Path, metavar="DIR", help="output of an earlier run")
    asked = parser.add_argument_group("how it is asked")
    asked.add_argument(
        "--given-objects",
        action="store_true",
        help="send the things that the benchmark marked; else the engine finds its own",
    )
    asked.add_argument("--no-depth", action="store_true", help="send colour pictures alone")
    asked.add_argument(
        "--depth-scale",
        type=float,
        metavar="METRES",
        help="metres per unit of depth pictures without a stated unit (robospatial-home)",
    )
    asked.add_argument(
        "--wording",
        choices=["suffix", "plain", "molmo", "gemini", "qwen", "robobrain"],
        help="how questions are put (default: as the model is known to be asked)",
    )
    asked.add_argument("--max-new-tokens", type=int, default=512, metavar="N", help="default: 512")


def run(args: argparse.Namespace) -> int:
    """Run a benchmark and return the exit code.

    Raises:
        ReferringError: It cannot start or go on; `main` turns it into a message and a code.
    """
    from roborefer_vlm.evaluation.benchmarks import load_benchmark
    from roborefer_vlm.evaluation.prompts import Wording
    from roborefer_vlm.evaluation.runner import RunSettings

    asking.check_token_use(args)
    settings = RunSettings(
        wording=Wording(args.wording) if args.wording else None,
        given_objects=args.given_objects,
        use_depth=not args.no_depth,
        max_new_tokens=args.max_new_tokens,
        deadline_s=args.deadline,
        concurrency=args.concurrency,
        limit=args.limit,
    )
    benchmark = load_benchmark(
        args.name, args.directory, parts=args.split, depth_scale_m=args.depth_scale
    )
    with _client(args) as client:
        _run(benchmark, client, settings, args)
    return exits.DONE


@contextmanager
def _client(args: argparse.Namespace) -> Iterator[Client]:
    if args.url is not None:
        with asking.server_client(args.url, args.token_file) as client:
            yield client
        return
    from roborefer_vlm.evaluation.serving import local_server

    spec = args.engine or asking.DEFAULT_ENGINE
    with (
        local_server(spec, args.concurrency, args.deadline) as url,
        asking.server_client(url, None) as client,
    ):
        yield client


def _run(
    benchmark: Benchmark, client: Client, settings: RunSettings, args: argparse.Namespace
) -> None:
    from tqdm import tqdm

    from roborefer_vlm.drawing import one_line
    from roborefer_vlm.evaluation.report import HTML_NAME, write_report
    from roborefer_vlm.evaluation.results import ResultLog
    from roborefer_vlm.evaluation.runner import chosen, run_benchmark, run_config
    from roborefer_vlm.evaluation.scoring.score import score_run
    from roborefer_vlm.evaluation.summary import summarise

    info = client.info()
    config = run_config(benchmark, info, settings)
    asked = chosen(benchmark, settings.limit)
    earlier = _earlier(args.compare, config, benchmark) if args.compare else None
    with ResultLog(args.out / "answers.jsonl", config, resume=args.resume) as log:
        done = sum(question.id in log.results for question in asked.questions)
        with tqdm(total=len(asked.questions), initial=done, unit="question") as bar:

            def show(result: Result) -> None:
                bar.update()
                if result.failure is not None:
                    line = f"{result.question}: {result.failure}: {one_line(result.message)}"
                    bar.write(line, file=sys.stderr)

            try:
                results = run_benchmark(asked, client, log, settings, config["wording"], show)
            except BaseException:
                bar.write(
                    f"stopped with {len(log.results)} answers in {log.path};"
                    " the same command with --resume goes on",
                    file=sys.stderr,
                )
                raise
    scored = score_run(asked, results)
    summary = summarise(scored, benchmark.protocol, len(asked.questions))
    if earlier is not None:
        from roborefer_vlm.evaluation.summary import compare_runs

        summary["compared_with"] = {"run": str(args.compare), **compare_runs(earlier, scored)}
    write_report(args.out, f"{benchmark.name}: {info.model}", scored, summary, config)
    sys.stdout.write(f"{_table(summary)}\nreport: {args.out / HTML_NAME}\n")


def _earlier(directory: Path, config: Mapping[str, Any], benchmark: Benchmark) -> Sequence[Scored]:
    from roborefer_vlm.evaluation.results import read_results
    from roborefer_vlm.evaluation.scoring.score import score_run
    from roborefer_vlm.exceptions import ConfigurationError

    other, results = read_results(directory / "answers.jsonl")
    if other.get("data") != config["data"]:
        raise ConfigurationError(f"{directory} is a run on other questions; it cannot be compared")
    return score_run(benchmark, results)


def _table(summary: Mapping[str, Any]) -> str:
    """Return the figures as lines of text."""
    rows = [("all", summary), *summary["by_category"].items()]
    lines = [f"{'':24}{'n':>5}  {'strict':>7}  {'95 %':>14}  {'protocol':>8}"]
    for name, group in rows:
        strict, protocol = group["strict"], group["protocol"]["mean"]
        interval = f"{100 * strict['low']:.1f} to {100 * strict['high']:.1f}"
        beside = "none" if protocol is None else f"{100 * protocol:.1f}"
        lines.append(
            f"{name:24}{strict['count']:>5}  {100 * strict['mean']:>7.1f}  {interval:>14}"
            f"  {beside:>8}"
        )
    lines.append(f"protocol: {summary['protocol']['name']}")
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in summary["verdicts"].items()))
    if wall := summary["latency"].get("wall"):
        lines.append(f"time: median {wall['p50_s']:.2f} s, 95th percentile {wall['p95_s']:.2f} s")
    if compared := summary.get("compared_with"):
        difference = compared["estimate"]
        lines.append(
            f"against {compared['run']}: {100 * difference['mean']:+.1f}"
            f" ({100 * difference['low']:+.1f} to {100 * difference['high']:+.1f}),"
            f" better in {100 * compared['better']:.0f} % of drawn samples"
        )
    return "\n".join(lines)
