# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes dictionary and trigram model of the command grammar, once, and keeps them in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random

from roborefer_operator.core.speech.rules import Rules
from roborefer_operator.exceptions import Reason, TaskFailure

# Words that the shipped dictionary does not have, in its phones.
PRONUNCIATIONS = {
    "leftmost": "L EH F T M OW S T",
    "rightmost": "R AY T M OW S T",
}
# Goes into the name of what is kept; raise it when what is made from the same input changes.
_EDITION = 1


@dataclass(frozen=True)
class ModelSettings:
    """How the model is made.

    Attributes:
        sentences: Random ones that are counted.
        pronunciations: Of words that the dictionary does not have, in ARPAbet without stress.
    """

    sentences: int = 30000
    pronunciations: Mapping[str, str] = field(default_factory=PRONUNCIATIONS.copy)


@dataclass(frozen=True)
class ModelFiles:
    """Where the model lies.

    Attributes:
        dictionary: Words and their phones.
        language: Trigrams, ARPA.
    """

    dictionary: Path
    language: Path


def default_cache() -> Path:
    """Where models are kept when no folder is given."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "roborefer" / "speech"


def model_files(rules: Rules, shipped: Path, settings: ModelSettings, cache: Path) -> ModelFiles:
    """Return the model of a grammar; it is made when the folder does not have it yet.

    Args:
        rules: The grammar.
        shipped: Folder with the engine's own dictionary and model.
        settings: How it is made.
        cache: Folder where models are kept, one folder for each.

    Raises:
        TaskFailure: ENGINE_UNAVAILABLE: a word has no pronunciation, or the folder cannot be
            written.
    """
    said = json.dumps(
        [_EDITION, rules.table, settings.sentences, dict(settings.pronunciations)], sort_keys=True
    )
    folder = cache / hashlib.sha256(said.encode()).hexdigest()[:16]
    files = ModelFiles(folder / "commands.dict", folder / "commands.arpa")
    if files.dictionary.exists() and files.language.exists():
        return files
    try:
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        try:
            _make(
                rules,
                shipped,
                settings,
                ModelFiles(made / "commands.dict", made / "commands.arpa"),
            )
            made.chmod(0o755)
            # Who comes second finds the folder there, with the same content.
            if not folder.exists():
                made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        if files.language.exists():
            return files
        raise TaskFailure(
            Reason.ENGINE_UNAVAILABLE,
            f"the speech model cannot be kept in {cache} ({error}); set engine.cache_folder to a"
            " folder that can be written",
        ) from error
    return files


def _make(rules: Rules, shipped: Path, settings: ModelSettings, files: ModelFiles) -> None:
    phones = _phones(shipped / "cmudict-en-us.dict")
    phones.update({word: [said] for word, said in settings.pronunciations.items()})
    if unknown := sorted(word for word in rules.words if word not in phones):
        raise TaskFailure(
            Reason.ENGINE_UNAVAILABLE,
            f"how to pronounce '{unknown[0]}' is not known; add '{unknown[0]}: K AH P' (its own"
            " ARPAbet phones) to vocabulary.pronunciations, or take the word out",
        )
    lines = [
        f"{word}{f'({number})' if number > 1 else ''} {said}\n"
        for word in sorted(rules.words)
        for number, said in enumerate(phones[word], 1)
    ]
    files.dictionary.write_text("".join(lines), encoding="utf-8")
    rng = Random(7)
    text = "\n".join(rules.say(rng) for _ in range(settings.sentences))
    model = import_module("pocketsphinx.lm").ArpaBoLM(text=text, add_start=True)
    model.compute()
    model.write_file(str(files.language))


def _phones(path: Path) -> dict[str, list[str]]:
    """Read a dictionary; variants of a word are written "word(2)"."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, said = line.partition(" ")
        found.setdefault(word.partition("(")[0], []).append(said.strip())
    return found
