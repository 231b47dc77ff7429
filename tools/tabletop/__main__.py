#!/usr/bin/env python3
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the namer that ships with roborefer-vlm, from renders of the simulator's library.

python tools/tabletop harvest FOLDER --scenes 1000     pictures to learn from; resumes
python tools/tabletop train FOLDER --out FILE.npz      the network, in torch on a CPU
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# Far from the seeds of every test and benchmark.
FIRST_SEED = 10_001_000
SHARD = 50


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    harvester = commands.add_parser("harvest", help="render scenes and cut portraits out of them")
    harvester.add_argument("folder", type=Path)
    harvester.add_argument("--scenes", type=int, default=1000)
    harvester.add_argument("--first-seed", type=int, default=FIRST_SEED)
    trainer = commands.add_parser("train", help="train on a folder of portraits")
    trainer.add_argument("folder", type=Path)
    trainer.add_argument("--out", type=Path, required=True)
    trainer.add_argument("--epochs", type=int, default=40)
    trainer.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.command == "harvest":
        from roborefer_sim.core.gl import load_mujoco

        load_mujoco()
        from tabletop.harvest import harvest

        arguments.folder.mkdir(parents=True, exist_ok=True)
        first = arguments.first_seed
        for seed in range(first, first + arguments.scenes, SHARD):
            file = arguments.folder / f"{seed}.npz"
            if not file.exists():
                count = harvest(seed, min(SHARD, first + arguments.scenes - seed), file)
                print(f"{file}: {count} portraits", flush=True)
        return 0
    from tabletop.training import train, write

    files = sorted(arguments.folder.glob("*.npz"))
    if len(files) < 2:
        parser.error(f"{arguments.folder} has {len(files)} files; harvest at least {2 * SHARD}")
    write(train(files, epochs=arguments.epochs, seed=arguments.seed), arguments.out)
    print(f"wrote {arguments.out}, {arguments.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
