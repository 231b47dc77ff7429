# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Make training data, and look at what was made.

For instance:
  roborefer data make --source sim --scenes 1000 --out data/sim --seed 0 --workers 8
  roborefer data make --source sim --scenes 90000 --views 2 --form shards --ray auto --out all/sim
  roborefer data make --source ca1m:scans/ca1m --every 20 --out data/scans
  roborefer data make --source sim --scenes 50 --kinds location,chain --most 8 --out data/few
  roborefer data report data/sim
  roborefer data sheet data/sim --count 60 --out sheet.png
  roborefer data bench --out data/RoboRefer-Sim-Bench
  roborefer data merge data/sim data/scans --out data/all

`make` goes on where it was stopped when it is typed again; equal arguments give equal bytes, with
any number of workers. The folder gets pictures, depth, a JSON list per group of questions (or tar
shards), and report.md, which says what was asked, what was rejected, and why.

exit codes: 0 done; 2 usage, bad input, or a maker's mistake; 130 interrupted
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roborefer_vlm.cli import exits
from roborefer_vlm.exceptions import ConfigurationError

if TYPE_CHECKING:
    from roborefer_vlm.data.views import Source

_ACTIONS = {
    "make": "make a data set, or go on with one",
    "report": "print the report of a data set",
    "sheet": "draw samples of a data set into one picture",
    "merge": "make one data set of several",
    "bench": "make RoboRefer-Sim-Bench: held-out scenes, colours and wordings, the same each time",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    parsers = {
        name: actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, text in _ACTIONS.items()
    }
    _add_make(parsers["make"])
    parsers["report"].add_argument("folder", type=Path, metavar="DIR")
    sheet = parsers["sheet"]
    sheet.add_argument("folder", type=Path, metavar="DIR")
    sheet.add_argument("--out", type=Path, required=True, metavar="FILE", help=".png or .jpg")
    sheet.add_argument("--count", type=int, default=60, metavar="N", help="default: 60")
    sheet.add_argument("--columns", type=int, default=5, metavar="N", help="default: 5")
    sheet.add_argument("--seed", type=int, default=0, metavar="N", help="which samples")
    merge = parsers["merge"]
    merge.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    merge.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")

    bench = parsers["bench"]
    bench.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")


def _add_make(make: argparse.ArgumentParser) -> None:
    make.add_argument(
        "--source",
        required=True,
        metavar="NAME",
        help="sim, robospatial:DIR, ca1m:DIR, scannet:DIR, or web:DIR (photographs)",
    )
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    make.add_argument(
        "--scenes", type=int, metavar="N", help="how many; default: all, but sim needs it"
    )
    make.add_argument("--seed", type=int, default=0, metavar="N", help="of everything; default: 0")
    make.add_argument("--views", type=int, default=1, metavar="N", help="per scene; default: 1")
    make.add_argument(
        "--every", type=int, default=20, metavar="N", help="frames of scans; default: every 20th"
    )
    photographs = make.add_argument_group(
        "photographs", "Without a detector, estimates are read from files beside them."
    )
    for name, text in (
        ("detector", "zero-shot detector"),
        ("masks", "SAM model"),
        ("depth-model", "metric depth model"),
        ("caption-model", "model that tells colours; without it, none are asked about"),
    ):
        photographs.add_argument(f"--{name}", metavar="CHECKPOINT", help=text)
    photographs.add_argument("--labels", metavar="A,B", help="what the detector looks for")
    photographs.add_argument("--device", default="cpu", help="default: cpu")
    asked = make.add_argument_group("what is asked")
    asked.add_argument("--kinds", metavar="A,B", help="kinds of questions; default: all")
    asked.add_argument(
        "--most", type=int, default=4, metavar="N", help="questions per kind and scene; default: 4"
    )
    asked.add_argument(
        "--chains",
        choices=["sft", "rft"],
        default="sft",
        help="how steps are written: sft (default), or rft with <think> and <answer>",
    )
    asked.add_argument(
        "--turns",
        type=int,
        default=15,
        metavar="N",
        help="most questions of a record; default: 15",
    )
    asked.add_argument(
        "--held-out",
        action="store_true",
        help="scenes, colours and wordings that training data never show; for benchmarks",
    )
    written = make.add_argument_group("how it is made and written")
    written.add_argument("--form", choices=["json", "shards"], default="json")
    written.add_argument("--lossless", action="store_true", help="pictures as PNG, not JPEG")
    spread = written.add_mutually_exclusive_group()
    spread.add_argument(
        "--workers", type=int, metavar="N", help="processes; default: one per core"
    )
    spread.add_argument(
        "--ray", metavar="ADDRESS", help="use a Ray cluster: auto, local or ray://HOST:PORT"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked for and return the exit code.

    Raises:
        ReferringError: It cannot be done; `main` turns it into a message and a code.
    """
    actions = {"make": _make, "report": _report, "sheet": _sheet, "merge": _merge, "bench": _bench}
    actions[args.action](args)
    return exits.DONE


def _bench(args: argparse.Namespace) -> None:
    from roborefer_vlm.data.sim_bench import write_sim_bench

    left_out = write_sim_bench(args.out)
    asked = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    sys.stdout.write(f"{args.out}: made; left out on the way: {asked}\n")


def _make(args: argparse.Namespace) -> None:
    from roborefer_vlm.data.cluster import Cluster
    from roborefer_vlm.data.examples import Kind, Phrasings, Wish
    from roborefer_vlm.data.processes import Processes, Spread
    from roborefer_vlm.data.questions import makers_of
    from roborefer_vlm.data.report import PAGE
    from roborefer_vlm.data.runner import Form, run
    from roborefer_vlm.data.work import Work

    if args.most < 1:
        raise ConfigurationError(f"--most is {args.most}; 1 or more is right")
    source, settings = _source(args)
    phrasings = Phrasings.HELD_OUT if args.held_out else Phrasings.TRAINING
    makers = makers_of(None if args.kinds is None else _words(args.kinds), args.chains)
    settings = {**settings, "chains": args.chains}
    work = Work(
        source,
        makers,
        args.seed,
        {Kind(maker.kind): Wish(args.most, phrasings) for maker in makers},
        args.turns,
        args.lossless,
    )
    spread: Spread = (
        Cluster(args.ray)
        if args.ray
        else Processes(args.workers if args.workers is not None else os.cpu_count() or 1)
    )
    tally = run(work, args.out, form=Form(args.form), spread=spread, settings=settings)
    sys.stdout.write(
        f"{tally.total('examples')} questions from {tally.total('shots')} shots"
        f" ({tally.total('errors')} failed)\nreport: {args.out / PAGE}\n"
    )


def _source(args: argparse.Namespace) -> tuple[Source, Mapping[str, Any]]:
    """Return the source that was named, and what its shots depend on besides its name."""
    from roborefer_vlm.data.sources.opening import PhotographModels, open_source

    labels = _words(args.labels) if args.labels else ()
    models = PhotographModels(
        args.detector, args.masks, args.depth_model, args.caption_model, labels, args.device
    )
    return open_source(
        args.source,
        count=args.scenes,
        seed=args.seed,
        views=args.views,
        every=args.every,
        held_out=args.held_out,
        models=models,
    )


def _words(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(word.strip() for word in text.split(","))


def _report(args: argparse.Namespace) -> None:
    from roborefer_vlm.data.report import page, read_report_file
    from roborefer_vlm.data.tally import Tally

    report = read_report_file(args.folder)
    sys.stdout.write(page(Tally(report["counts"]), report["run"]))


def _sheet(args: argparse.Namespace) -> None:
    from roborefer_vlm.data.archives import write_whole
    from roborefer_vlm.data.reading import stored
    from roborefer_vlm.data.sheet import choose, sheet
    from roborefer_vlm.drawing import encode_jpeg, encode_png

    encoders = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}
    encode = encoders.get(args.out.suffix.lower())
    if encode is None:
        raise ConfigurationError(f"--out is {args.out}; a name with .png or .jpg is right")
    if args.columns < 1:
        raise ConfigurationError(f"--columns is {args.columns}; 1 or more is right")
    picture = sheet(choose(stored(args.folder), args.count, args.seed), args.columns)
    write_whole(args.out, encode(picture))
    sys.stdout.write(f"{args.out}\n")


def _merge(args: argparse.Namespace) -> None:
    from roborefer_vlm.data.merging import merge

    tally = merge(args.folders, args.out)
    sys.stdout.write(f"{tally.total('examples')} questions in {args.out}\n")
