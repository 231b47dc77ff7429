# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: one module of this package per command.

Only the standard library is imported before the arguments are known to be right, so that help
and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from roborefer_vlm.cli import bench, data, doctor, exits, new, point, serve, train
from roborefer_vlm.exceptions import ReferringError

_ABOUT = "Spatial referring: from a picture and a sentence to points with reasons."
_EXAMPLES = """examples:
  roborefer point view.png "the mug left of the bowl" --depth depth.png --depth-scale 0.001 \\
      --intrinsics camera.json --out answer.png
  roborefer serve --engine roborefer:checkpoints/RoboRefer-2B-SFT
  roborefer bench refspatial data/RefSpatial-Bench --url http://127.0.0.1:25547 --out runs/2b
  roborefer new runs/small/start --records data/sim/chain_qa.json
  roborefer train sft_2b.toml --dry-run
  roborefer data make --source sim --scenes 1000 --out data/sim
  roborefer doctor --checkpoint checkpoints/RoboRefer-2B-SFT

exit codes:
  0 done; 2 usage or bad input; 3 no single answer (nothing found, ambiguous, not understood,
  invalid); 4 a server or engine cannot be reached; 5 the engine failed; 130 interrupted
"""
_COMMANDS = {
    "point": (point, "point at what a sentence means in a picture"),
    "serve": (serve, "answer queries over HTTP"),
    "bench": (bench, "run a benchmark and report on it"),
    "new": (new, "write a small checkpoint with random weights"),
    "train": (train, "train a checkpoint"),
    "data": (data, "make training data, and look at what was made"),
    "doctor": (doctor, "check this installation and what it can reach"),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="roborefer",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            # "--token SECRET" must not be taken for "--token-file SECRET".
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code, see `exits`."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows "\\u2713" rather than a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(arguments)
    try:
        code: int = args.run(args)
    except ReferringError as error:
        sys.stderr.write(f"roborefer {args.command}: {error}\n")
        return exits.code_of(error)
    except KeyboardInterrupt:
        sys.stderr.write(f"roborefer {args.command}: interrupted\n")
        return exits.INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
