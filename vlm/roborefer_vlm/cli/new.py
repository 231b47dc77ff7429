# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a small checkpoint with random weights, to be trained from scratch.

It has the published layout and a tokenizer of its own, learnt from the records it will be trained
on. Until it is trained, what it answers means nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from roborefer_vlm.cli import exits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="where it goes; new or empty")
    parser.add_argument(
        "--shape",
        choices=["small", "tiny", "toy"],
        default="small",
        help="how large: small (for a GPU), tiny (for a CPU) or toy (to try the pipeline out)",
    )
    parser.add_argument(
        "--records",
        type=Path,
        action="append",
        default=[],
        metavar="JSON",
        help="records that the tokenizer is learnt from; may come several times",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Write a checkpoint and return the exit code.

    Raises:
        ReferringError: A file cannot be read or written.
    """
    from roborefer_vlm.training.small import SHAPES, new_small, texts_of

    texts = [text for path in args.records for text in texts_of(path)]
    network = new_small(args.directory, SHAPES[args.shape], texts=texts, seed=args.seed)
    count = sum(parameter.numel() for parameter in network.parameters())
    sys.stdout.write(
        f"{args.directory}: {count / 1e6:.1f} million weights, {2 * count / 1e6:.1f} MB,"
        f" {network.vocabulary.size} tokens\n"
    )
    return exits.DONE
