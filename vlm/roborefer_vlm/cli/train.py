# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Train a checkpoint as a TOML file says: align depth, then fine-tune.

The file names the stage, the checkpoint to start from, the data and the folder of the run; see
docs/training.md and the files in roborefer_vlm/training/configs. Paths in it are relative to the
current directory. The folder gets checkpoint-N while the run goes on and `model` at its end.

exit codes: 0 trained to the end, or planned; 2 usage, a configuration or record that cannot be
used, or training that cannot go on; 130 interrupted
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from roborefer_vlm.cli import exits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="what to train")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="change the configuration, such as batch.samples=2; may come several times",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--resume", action="store_true", help="go on from the newest checkpoint of the run"
    )
    what.add_argument(
        "--dry-run", action="store_true", help="say sizes, memory and steps, and train nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Train and return the exit code.

    Raises:
        ReferringError: It cannot start or go on; `main` turns it into a message and a code.
    """
    from roborefer_vlm.training.typed_tables import read_toml

    table = read_toml(args.config, args.changes)
    from roborefer_vlm.training.stages import runner_of

    runner = runner_of(table, str(args.config))
    if args.dry_run:
        sys.stdout.write(runner.plan(table, str(args.config)) + "\n")
    else:
        runner.run(table, str(args.config), resume=args.resume)
    return exits.DONE
