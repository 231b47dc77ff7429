# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""`python -m roborefer_vlm.verification DIRECTORY [CHECKPOINT ...]`."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

try:
    from roborefer_vlm.verification.comparison import golden_names
    from roborefer_vlm.verification.inference import verify_inference
    from roborefer_vlm.verification.training import verify_training
except ImportError as error:
    sys.exit(f"verification needs more packages ({error}); install roborefer-vlm[model]")


def main() -> int:
    """Compare, write what fails and a summary per checkpoint, return 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Compare this package with recorded results.")
    parser.add_argument("directory", type=Path, help="golden directory")
    parser.add_argument("checkpoints", nargs="*", help="names in it; all by default")
    parser.add_argument("--verbose", action="store_true", help="also write what passes")
    arguments = parser.parse_intermixed_args()
    failures = 0
    for name in arguments.checkpoints or golden_names(arguments.directory):
        total = failed = 0
        for comparison in chain(
            verify_inference(arguments.directory, name),
            verify_training(arguments.directory, name),
        ):
            total += 1
            failed += not comparison.passed
            if arguments.verbose or not comparison.passed:
                sys.stdout.write(f"{comparison}\n")
        sys.stdout.write(f"{name}: {total - failed} of {total} comparisons passed\n")
        failures += failed
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
