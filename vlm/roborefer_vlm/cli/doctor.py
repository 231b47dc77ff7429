# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Check this installation and what it can reach; says the next step for what is not right.

✓ is good, ✗ has to be put right for what was asked about, – is something that only other uses
need.

exit codes: 0 nothing to put right; 1 something to put right; 2 usage
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from roborefer_vlm.cli import asking, exits
from roborefer_vlm.cli.checks.check import Check, State

_TO_PUT_RIGHT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="also check this RoboRefer checkpoint"
    )
    parser.add_argument("--url", help="also ask this server, such as http://127.0.0.1:25547")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with the server's bearer token"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Check, print the table and return the exit code."""
    asking.check_token_use(args)
    checks = list(_checks(args))
    bad = sum(check.state is State.BAD for check in checks)
    if args.json:
        rows = [
            {"what": c.what, "state": c.state.name.lower(), "found": c.found, "next": c.next_step}
            for c in checks
        ]
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(_table(checks, shutil.get_terminal_size((100, 24)).columns))
        sys.stdout.write(f"{bad} to put right\n" if bad else "nothing to put right\n")
    return _TO_PUT_RIGHT if bad else exits.DONE


def _checks(args: argparse.Namespace) -> Iterator[Check]:
    from roborefer_vlm.cli.checks import machine, packages, reach, weights

    with_model = args.checkpoint is not None
    yield packages.check_python()
    yield from packages.check_packages(frozenset({"model"} if with_model else ()))
    yield from machine.check_torch(with_model)
    size = 0
    if with_model:
        yield from weights.check_checkpoint(args.checkpoint)
        size = weights.weights_size(args.checkpoint)
    yield machine.check_memory(size)
    yield reach.check_scene_graph()
    if args.url is not None:
        yield reach.check_server(args.url, args.token_file)


def _table(checks: Sequence[Check], width: int) -> str:
    """Return the checks as aligned lines of at most this width."""
    column = max(len(check.what) for check in checks)
    indent = " " * (column + 4)
    lines = []
    for check in checks:
        text = check.found
        if check.next_step and check.state is not State.GOOD:
            text += f" → {check.next_step}"
        wrapped = textwrap.wrap(
            text, max(30, width - len(indent)), break_on_hyphens=False, break_long_words=False
        )
        first, *rest = wrapped or [""]
        lines.append(f"{check.state.value} {check.what:{column}}  {first}")
        lines += [indent + line for line in rest]
    return "\n".join(lines) + "\n"
