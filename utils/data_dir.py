"""Kaldi data directories as values: which tables they hold, pooled from several, cut to some utterances.

======================  =========  =====================================================
wav.scp wav22k.scp      utterance  recording: as it came; 22 050 Hz, 16 bit, mono
segments                utterance  recording, first and last second; wav.scp is by recording then
feats.scp labels.scp    utterance  features; frame labels
utt2spk utt2genre       utterance  artist; class
utt2dur utt2num_frames  utterance  seconds; frames
spk2utt                 artist     its utterances
genres.txt              —          one class a line, in the order of the network's outputs
genre2name              class      its name as people write it, where the class is a transcription
artists_unknown         —          why utt2spk does not name the artists, if it does not
frame_shift             —          seconds between frames
======================  =========  =====================================================
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from utils import atomic, tables
from utils.cli import UserError

NUMBERS = ("utt2dur", "utt2num_frames", "frame_shift")
COPIED = ("genres.txt", "genre2name", "artists_unknown", "frame_shift", "cmvn_opts")


@dataclass
class DataDir:
    """The tables of one data directory, or of several pooled."""

    name: str
    tables: dict[str, dict[str, str]] = field(default_factory=dict)  # those by utterance
    copied: dict[str, str] = field(default_factory=dict)  # texts of files that do not depend on utterances
    recordings: dict[str, str] = field(default_factory=dict)  # wav.scp where there are segments

    @property
    def utts(self) -> list[str]:
        """The utterances, which utt2spk lists."""
        return list(self.tables["utt2spk"])


def utterance_tables(folder: Path) -> list[Path]:
    """Return the files of a data directory that have one line an utterance, by name."""
    by_recording = {"wav.scp"} if (folder / "segments").is_file() else set()
    return [
        path
        for path in sorted(folder.iterdir())
        if re.fullmatch(r"segments|text|utt2.*|[^.].*\.scp", path.name)
        and path.is_file()
        and path.name not in by_recording
    ]


def invert(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Turn utt2spk into spk2utt: utterances of each speaker, both in C order."""
    speakers: dict[str, list[str]] = {}
    for utt in sorted(utt2spk, key=str.encode):
        speakers.setdefault(utt2spk[utt], []).append(utt)
    return {spk: " ".join(speakers[spk]) for spk in sorted(speakers, key=str.encode)}


def check(name: str, value: str) -> str:
    """Return a value in the table of this name as it is; raises ValueError if it cannot be one."""
    if name in NUMBERS:
        with suppress(ValueError):
            if 0 < float(value) < math.inf:
                return value
        raise ValueError(f"expected a positive number, got '{value}'")
    if name in ("utt2spk", "utt2genre") and len(value.split()) != 1:
        raise ValueError(f"expected one word, got '{value}'")
    return value


def read_data_dirs(paths: Iterable[str | Path]) -> DataDir:
    """Read one data directory, or pool several.

    Raises UserError if there is no utt2spk, a table is broken or has other utterances, an utterance occurs in
    two directories, a table exists in only some of them, or genres.txt or frame_shift differ.
    """
    folders = [Path(path) for path in paths]
    data = DataDir(" ".join(map(str, folders)))
    for number, path in enumerate(folders):
        if not (path / "utt2spk").is_file():
            raise UserError(f"{path}/utt2spk: no such file; is {path} a data directory?")
        found = {
            table.name: tables.parse_values(table, partial(check, table.name))
            for table in utterance_tables(path)
        }
        if number and (differing := found.keys() ^ data.tables.keys()):
            names = " ".join(sorted(differing))
            raise UserError(f"{path} and {folders[0]}: only one of them has {names}; prepare both alike")
        for name, table in found.items():
            entries = data.tables.setdefault(name, {})
            if clash := entries.keys() & table.keys():
                raise UserError(f"{path / name}: utterance '{min(clash)}' is also in another source")
            if unlike := table.keys() ^ found["utt2spk"].keys():
                counts = f"{len(found['utt2spk'])} in utt2spk, {len(table)} in {name}"
                raise UserError(f"{path}: '{min(unlike)}' is not in both of utt2spk and {name} ({counts})")
            entries.update(table)
        if "segments" in found and (path / "wav.scp").is_file():
            for name, place in tables.read_table(path / "wav.scp").items():  # its pieces may be in several
                if data.recordings.setdefault(name, place) != place:
                    raise UserError(f"{path}/wav.scp: another recording '{name}' is in {folders[0]}")
        copied = {name: tables.read_text(path / name) for name in COPIED if (path / name).is_file()}
        data.copied = data.copied if number else copied
        if other := next((name for name in COPIED if copied.get(name) != data.copied.get(name)), None):
            raise UserError(f"{path}/{other}: differs from the other source's; pool what was made alike")
    return data


def write_subset(data: DataDir, utts: Collection[str], target: str | Path) -> None:
    """Write the data directory of some utterances; raises UserError if there are none."""
    wanted = sorted(utts, key=str.encode)
    if not wanted:
        raise UserError(f"{target}: no utterances left of {data.name}")
    target = Path(target)
    for name, table in data.tables.items():
        tables.write_table(target / name, {utt: table[utt] for utt in wanted})
    if data.recordings:
        used = {data.tables["segments"][utt].partition(" ")[0] for utt in wanted}
        kept = {name: place for name, place in data.recordings.items() if name in used}
        tables.write_table(target / "wav.scp", kept)
    tables.write_table(target / "spk2utt", invert({utt: data.tables["utt2spk"][utt] for utt in wanted}))
    for name, text in data.copied.items():
        with atomic.replacing(target / name) as file:
            file.write(text)
