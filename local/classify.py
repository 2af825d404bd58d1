#!/usr/bin/env python3
"""Say the genres of recordings with a trained network: path, genre, its probability, all probabilities.

Usage: local/classify.sh [options] <exp-dir|system.zip> <file|folder>...
 e.g.: local/classify.sh exp/ismir04_lstm_512 ~/new_music track.mp3
       local/classify.sh --format json lstm_512.zip ~/new_music

One line a track on stdout, tab separated. What cannot be read is a line on stderr with the reason; the others
go on, and the exit status is 1.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import torch

from local import export_system
from local.corpus import folder as corpus_folder
from steps.classify.network import RULES, Answer, Classifier
from steps.classify.system import read_zip
from steps.nnet1.options import open_device
from utils import atomic, cli


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("classify.py [options] <exp-dir|system.zip> <file|folder>...", __doc__)
    add = parser.add_argument
    add("--rule", choices=RULES, help="how a track is decided (fusion, else lstm, else vote)")
    add("--header", type=cli.boolean, default=False, help="a first line with the names of the columns")
    add("--format", choices=("tsv", "json"), default="tsv", help="json: one object a line")
    add("--timeline", type=Path, metavar="DIR", help="also write DIR/<track>.csv: posteriors over time")
    add("--use-gpu", choices=("yes", "no", "optional"), default="no", help="compute on CUDA")
    add("--audio-config", default="conf/audio.conf", help="of an <exp-dir>")
    add("--scattering-config", default="conf/scattering.conf", help="of an <exp-dir>")
    add("system", type=Path)
    add("recordings", type=Path, nargs="+")
    return parser


def recordings_of(paths: list[Path]) -> Iterator[Path]:
    """Yield the files, and of folders the recordings below them in C order."""
    for path in paths:
        if path.is_dir():
            found = (
                file
                for file in path.rglob("*")
                if file.suffix.lower().lstrip(".") in corpus_folder.EXTENSIONS
            )
            yield from sorted(file for file in found if file.is_file())
        else:
            yield path


def write_timeline(path: Path, answer: Answer, classes: tuple[str, ...], frame_shift: float) -> None:
    """Write the posteriors of a track's frames, a row each, with the seconds at which they lie."""
    with atomic.replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["seconds", *classes])
        for number, row in enumerate(answer.posteriors):
            writer.writerow([f"{number * frame_shift:.3f}", *(f"{value:.6f}" for value in row)])


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    torch.set_num_threads(1)
    if args.system.is_dir():
        system = export_system.load_experiment(args.system, None, args.audio_config, args.scattering_config)
    else:
        system = read_zip(args.system)
    classifier = Classifier(system, args.rule or "", open_device(args.use_gpu))
    if args.header and args.format == "tsv":
        print("\t".join(["path", "genre", "probability", *system.classes]))
    failed = 0
    for path in recordings_of(args.recordings):
        try:
            answer = classifier.answer(path)
        except (cli.UserError, OSError) as error:
            cli.warn(f"{path}: {error}")
            failed += 1
            continue
        genre, values = system.classes[answer.genre], [float(value) for value in answer.probabilities]
        if args.format == "json":
            found: dict[str, object] = {
                "path": str(path),
                "genre": genre,
                "probability": values[answer.genre],
            }
            found["probabilities"] = dict(zip(system.classes, values, strict=True))
            print(json.dumps(found), flush=True)
        else:
            numbers = [f"{value:.6f}" for value in (values[answer.genre], *values)]
            print("\t".join([str(path), genre, *numbers]), flush=True)
        if args.timeline:
            shift = system.scattering.frame_shift
            write_timeline(args.timeline / f"{path.name}.csv", answer, system.classes, shift)
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main, echo=False)
