# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how well spoken commands are recognised, clean and in noise.

    python benchmarks/speech.py [--quick] [--json FILE] [--data FOLDER] [--shown]

The sound is that of ../shared/data/speech: 20 commands, each by three synthetic voices (two of
flite, one of espeak-ng, which is far from natural speech), and 10 sentences that are no commands.
Synthetic voices say little about real people; this is for comparing versions. The language model
is made from the command grammar and the default vocabulary only, never from the transcripts of
the test; whoever wrote the grammar knew what kind of sentences they are.

Word error rate and exact sentences count the best guess, whether it is accepted or not. A task is
right when the sentence was accepted and core/language reads the same steps out of it and out of
the transcript; a transcript that core/language refuses cannot be right. A task is *wrong and sure*
when it was accepted with other steps at a confidence at which the executive does not ask back: the
only dangerous case. *Read back* counts all sentences that it would repeat and ask about.
Noise is added at a ratio to the loud parts of the speech, a motor being harmonics of 120 Hz with
hiss; seeds are fixed. Only the flite voices are measured in noise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from roborefer_operator.core.behaviours import Policy
from roborefer_operator.core.language.grammar import is_stop, read
from roborefer_operator.core.language.steps import Context
from roborefer_operator.core.ports import Heard
from roborefer_operator.core.speech.agreement import word_errors
from roborefer_operator.core.speech.audio import FULL_SCALE, RATE, Samples, level_db, read_wav
from roborefer_operator.core.speech.hearing import Hearing, Misheard, SpeechSettings
from roborefer_operator.exceptions import TaskFailure
from tqdm import tqdm

DATA = Path(__file__).parents[1] / "../shared/data/speech"
SURE = Policy().least_words_confidence
NOISES = ("white", "pink", "motor")
RATIOS_DB = (20, 10)


@dataclass
class Tally:
    """Counts over some clips."""

    words: int = 0
    errors: int = 0
    clips: int = 0
    exact: int = 0
    tasks: int = 0
    wrong_and_sure: int = 0
    read_back: int = 0
    accepted: int = 0
    sure: int = 0
    seconds: float = 0.0
    spent: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in the counts of others."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def steps_of(sentence: str) -> Any:
    """What a sentence asks for; None if it is refused."""
    if is_stop(sentence):
        return "stop"
    try:
        return read(sentence, Context(True, "it", "there"))
    except TaskFailure:
        return None


def noise(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of power 1."""
    values = rng.standard_normal(size)
    if kind == "pink":
        spectrum = np.fft.rfft(values)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        values = np.fft.irfft(spectrum, size)
    elif kind == "motor":
        times = np.arange(size) / RATE
        values *= 0.3
        for number in range(1, 16):
            turn = rng.random() * 2 * np.pi
            values += np.sin(2 * np.pi * 120 * number * times + turn) / number
    return np.asarray(values / np.sqrt(np.mean(values**2)))


def noisy(samples: Samples, kind: str, ratio_db: float, rng: np.random.Generator) -> Samples:
    """Add noise at a ratio to the loud parts of the speech."""
    levels = level_db(samples)
    loud = float(levels[levels > levels.max() - 25].mean())
    amplitude = FULL_SCALE * 10 ** ((loud - ratio_db) / 20)
    mixed = samples + amplitude * noise(kind, len(samples), rng)
    return np.clip(np.round(mixed), -FULL_SCALE, FULL_SCALE).astype(np.int16)


def listen(hearing: Hearing, samples: Samples, said: str, shown: bool) -> Tally:
    """Hear one clip."""
    begin = perf_counter()
    accepted = True
    try:
        heard = hearing.hear(samples)
    except Misheard as error:
        heard, accepted = error.heard, False
    except TaskFailure:
        heard, accepted = Heard("", 0.0), False
    spent = perf_counter() - begin
    wanted = steps_of(said)
    errors = word_errors(said.split(), heard.text.split())
    right = accepted and wanted is not None and steps_of(heard.text) == wanted
    sure = accepted and (heard.confidence >= SURE or is_stop(heard.text))
    if shown and errors:
        state = "accepted" if accepted else "refused"
        tqdm.write(f"  {said}\n    -> {heard.text} ({state}, {heard.confidence:.2f})")
    return Tally(
        len(said.split()), errors, 1, int(not errors), int(right), int(sure and not right),
        int(accepted and not sure), int(accepted), int(sure), len(samples) / RATE, [spent],
    )  # fmt: skip


def measure(data: Path, quick: bool, shown: bool) -> dict[str, Any]:
    """Return all figures."""
    rows = [
        line.split("\t")
        for line in (data / "transcripts.tsv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    if quick:
        rows = [row for row in rows if int(row[0].split("_")[1][:2]) % 5 == 0]
    with tempfile.TemporaryDirectory() as folder:
        hearing = Hearing(SpeechSettings(cache=Path(folder)))
        begin = perf_counter()
        hearing.load()
        load_s = perf_counter() - begin
        parts = ("flite", "espeak", "ood")
        clean = {part: Tally() for part in parts}
        loud = {(kind, ratio): Tally() for kind in NOISES for ratio in RATIOS_DB}
        for name, said in tqdm(rows, disable=not sys.stderr.isatty()):
            samples, _ = read_wav(data / name)
            part = next(part for part in parts if name.startswith(part))
            clean[part].add(listen(hearing, samples, said, shown))
            for number, (kind, ratio) in enumerate(loud if part == "flite" else ()):
                rng = np.random.default_rng([number, *name.encode()])
                tally = listen(hearing, noisy(samples, kind, ratio, rng), said, False)
                loud[kind, ratio].add(tally)
    flite, espeak, ood = clean["flite"], clean["espeak"], clean["ood"]
    every = Tally()
    for tally in (*clean.values(), *loud.values()):
        every.add(tally)
    figures: dict[str, Any] = {
        "speech_wer_percent": share(flite.errors, flite.words),
        "speech_wer_espeak_percent": share(espeak.errors, espeak.words),
        "speech_exact_percent": share(flite.exact, flite.clips),
        "speech_exact_espeak_percent": share(espeak.exact, espeak.clips),
        "speech_task_percent": share(flite.tasks, flite.clips),
        "speech_task_espeak_percent": share(espeak.tasks, espeak.clips),
        "speech_wrong_and_sure_percent": share(flite.wrong_and_sure, flite.clips),
        "speech_wrong_and_sure_espeak_percent": share(espeak.wrong_and_sure, espeak.clips),
        "speech_read_back_percent": share(flite.read_back, flite.clips),
        "speech_false_accept_percent": share(ood.accepted, ood.clips),
        "speech_false_sure_percent": share(ood.sure, ood.clips),
    }
    for ratio in RATIOS_DB:
        total = Tally()
        for kind in NOISES:
            tally = loud[kind, ratio]
            total.add(tally)
            figures[f"speech_task_{kind}{ratio}_percent"] = share(tally.tasks, tally.clips)
        figures[f"speech_wer_noise{ratio}_percent"] = share(total.errors, total.words)
        figures[f"speech_task_noise{ratio}_percent"] = share(total.tasks, total.clips)
        wrong = share(total.wrong_and_sure, total.clips)
        figures[f"speech_wrong_and_sure_noise{ratio}_percent"] = wrong
    figures["speech_realtime_factor"] = sum(every.spent) / every.seconds
    figures["speech_answer_median_s"] = float(np.median(every.spent))
    figures["speech_model_made_s"] = load_s
    figures["speech_clips"] = every.clips
    return figures


def share(count: int, of: int) -> float:
    """Percent."""
    return 100.0 * count / of if of else float("nan")


def main() -> None:
    """Run all measurements, print them, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="every fifth sentence")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with transcripts.tsv")
    parser.add_argument("--shown", action="store_true", help="print what was heard wrongly")
    args = parser.parse_args()
    if not (args.data / "transcripts.tsv").is_file():
        print(f"skipped: {args.data} has no transcripts.tsv; give the folder with --data")
        return
    load_before = os.getloadavg()[0]
    results = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in measure(args.data, args.quick, args.shown).items()
    }
    results["conditions"] = {
        "quick": args.quick,
        "sure_confidence": SURE,
        "voices": "flite slt and rms, espeak-ng en-us; synthetic",
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "pocketsphinx": metadata.version("pocketsphinx"),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for name, value in results.items():
        print(f"{name:40} {value}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
