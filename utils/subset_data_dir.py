#!/usr/bin/env python3
"""Write a data directory that holds some utterances of others, with every table cut to match.

Tables of utterances (utt2*, *.scp) are filtered, spk2utt is made anew, genres.txt and frame_shift are
copied; archives stay where they are. Several source directories are pooled. Like Kaldi's
utils/subset_data_dir.sh --utt-list and utils/combine_data.sh.

Usage: subset_data_dir.py [options] <src-dir>... <dest-dir>
 e.g.: subset_data_dir.py --utt-list exp/cv.list data/synth/train data/synth/train_cv
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steps import archive
from utils import atomic, cli, text_file

COPIED = ("genres.txt", "frame_shift")


@dataclass
class DataDir:
    """The tables of one data directory, or of several pooled.

    Attributes
    ----------
    name : str
        The paths, for messages.
    tables : dict
        Table name to its entries by utterance: ``utt2spk``, ``utt2genre``, ``wav.scp``, ...
    copied : dict
        File name to text, of the files that do not depend on the utterances.
    """

    name: str
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    copied: dict[str, str] = field(default_factory=dict)

    @property
    def utts(self) -> list[str]:
        """The utterances, which utt2spk lists."""
        return list(self.tables["utt2spk"])


def read_data_dirs(paths: Iterable[str | Path]) -> DataDir:
    """Read one data directory, or pool several.

    Raises
    ------
    UserError
        If there is no utt2spk, an utterance occurs in two directories, a table exists in only some of
        them, or genres.txt or frame_shift differ.
    """
    folders = [Path(path) for path in paths]
    data = DataDir(" ".join(map(str, folders)))
    for number, path in enumerate(folders):
        if not (path / "utt2spk").is_file():
            raise cli.UserError(f"{path}/utt2spk: no such file; is {path} a data directory?")
        names = {f.name for f in path.iterdir() if f.is_file() and is_utterance_table(f.name)}
        if number and names != set(data.tables):
            differing = " ".join(sorted(names ^ set(data.tables)))
            raise cli.UserError(
                f"{path} and {folders[0]}: only one of them has {differing}; prepare both alike"
            )
        for name in sorted(names):
            table = archive.read_table(path / name)
            both = data.tables.setdefault(name, {})
            if clash := next((utt for utt in table if utt in both), None):
                raise cli.UserError(
                    f"{path}/{name}: utterance '{clash}' is also in {folders[0]} or another source"
                )
            both.update(table)
        for name in sorted(names):
            if extra := next((utt for utt in data.tables[name] if utt not in data.tables["utt2spk"]), None):
                raise cli.UserError(f"{path}/{name}: utterance '{extra}' is not in {path}/utt2spk")
        if "utt2genre" in names and (lost := data.tables["utt2spk"].keys() - data.tables["utt2genre"].keys()):
            raise cli.UserError(f"{path}/utt2genre: utterance '{min(lost)}' of {path}/utt2spk is missing")
        _read_copied(data, path, first=number == 0)
    return data


def is_utterance_table(name: str) -> bool:
    """Whether a file of this name in a data directory has one line an utterance."""
    return name.startswith("utt2") or name.endswith(".scp") and not name.startswith(".")


def _read_copied(data: DataDir, path: Path, *, first: bool) -> None:
    for name in COPIED:
        text = text_file.read(path / name) if (path / name).is_file() else None
        if first and text is not None:
            data.copied[name] = text
        elif not first and text != data.copied.get(name):
            raise cli.UserError(f"{path}/{name}: differs from the other source's; pool what was made alike")


def write_subset(data: DataDir, utts: Collection[str], target: str | Path) -> None:
    """Write the data directory of some utterances.

    Parameters
    ----------
    data : DataDir
        What they are taken from.
    utts : collection of str
        Which; the order does not matter.
    target : str or Path
        The directory, made if it is missing; its files are replaced one by one.

    Raises
    ------
    UserError
        If ``utts`` is empty or an utterance is missing in a table; nothing is written then.
    """
    wanted = sorted(utts, key=str.encode)
    if not wanted:
        raise cli.UserError(f"{target}: no utterances left of {data.name}")
    for name, table in data.tables.items():
        missing = [utt for utt in wanted if utt not in table]
        if missing:
            raise cli.UserError(
                f"{data.name}: {name} lacks {len(missing)} of {len(wanted)} utterances "
                f"({' '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}); "
                "run the stage that writes it, or utils/fix_data_dir.sh"
            )
    target = Path(target)
    for name, table in data.tables.items():
        archive.write_table(target / name, {utt: table[utt] for utt in wanted})
    archive.write_table(target / "spk2utt", speakers(data.tables["utt2spk"], wanted))
    for name, text in data.copied.items():
        with atomic.replacing(target / name) as file:
            file.write(text)


def speakers(utt2spk: Mapping[str, str], utts: Iterable[str]) -> dict[str, str]:
    """Return spk2utt of some utterances: the utterances of each speaker, C-sorted, in one line."""
    spk2utt: dict[str, list[str]] = defaultdict(list)
    for utt in sorted(utts, key=str.encode):
        spk2utt[utt2spk[utt]].append(utt)
    return {spk: " ".join(members) for spk, members in spk2utt.items()}


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("subset_data_dir.py [options] <src-dir>... <dest-dir>", __doc__)
    parser.add_argument("--utt-list", metavar="FILE", help="the utterances, one a line (or the first field)")
    parser.add_argument("--spk-list", metavar="FILE", help="the speakers, one a line (or the first field)")
    parser.add_argument("sources", nargs="+", metavar="src-dir")
    parser.add_argument("target", metavar="dest-dir")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    data = read_data_dirs(args.sources)
    utts = data.utts
    utt2spk = data.tables["utt2spk"]
    for path, known, kind in (
        (args.utt_list, set(utts), "utterance"),
        (args.spk_list, set(utt2spk.values()), "speaker"),
    ):
        if path is None:
            continue
        listed = {line.split()[0] for line in archive.read_lines(path) if line.strip()}
        if unknown := sorted(listed - known):
            raise cli.UserError(f"{path}: {kind} '{unknown[0]}' is not in {data.name}")
        utts = [utt for utt in utts if (utt if kind == "utterance" else utt2spk[utt]) in listed]
    write_subset(data, utts, args.target)
    cli.log(f"wrote {len(utts)} of {len(data.utts)} utterances of {data.name} to {args.target}")
    return 0


if __name__ == "__main__":
    cli.run(main)
