#!/usr/bin/env python3
"""Cross-validate the system `best`, its parts, and the paper's SVM on the mean frame, several times over.

Reads a data directory, or any folder with utt2genre and feats.ark (feats_t32768.ark …); without utt2spk every
track counts as an artist of its own. Each fold is trained by local/train_best.py as the configuration says.
Prints how many are right and how sure `best` and each part are (expected calibration error of calibrated
posteriors), seconds, and a paired test against `best`: Student's t of the differences by fold with the
variance that overlapping training sets call for (Nadeau and Bengio, Inference for the Generalization Error,
2003).

Usage: tests/bench/bench_best.py [options] <data-dir> [options of train_best.py]
e.g.:  tests/bench/bench_best.py --repeats 4 --outer-folds 5 DIR --config conf/best/best.conf
       tests/bench/bench_best.py DIR --config conf/best/best.conf --network-config conf/best/dnn.conf
"""

import argparse
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import stdtr

from local import train_best
from local.corpus import splits
from steps import archive
from steps.classifiers.model import read_frames, read_pieces
from steps.scoring.reference import Reference, read_artists, read_reference
from steps.scoring.significance import expected_calibration_error, reliability
from steps.scoring.svm import train
from utils import cli, data_dir, tables

SVM = "f_sc, linear SVM"


def prepare(source: Path, target: Path) -> data_dir.DataDir:
    """Write what a data directory has and ``source`` lacks; return all of it."""
    target.mkdir()
    utt2genre = tables.read_table(source / "utt2genre")
    artists = source / "utt2spk"
    utt2spk = tables.read_table(artists) if artists.is_file() else {utt: utt for utt in utt2genre}
    tables.write_table(target / "utt2genre", utt2genre)
    tables.write_table(target / "utt2spk", utt2spk)
    (target / "genres.txt").write_text("".join(f"{name}\n" for name in sorted(set(utt2genre.values()))))
    for path in source.glob("feats*.ark"):
        with archive.Writer(f"ark,scp:{target}/{path.name},{target}/{path.stem}.scp") as writer:
            for utt, frames in archive.read_matrices(f"ark:{path}"):
                writer.write(utt, frames)
    for path in source.glob("feats*.scp"):
        tables.write_table(target / path.name, tables.read_table(path))
    return data_dir.read_data_dirs([target])


def svm_scores(train_set: Reference, test_set: Reference) -> np.ndarray:
    """Return the decision values (num_tracks, C) of the paper's SVM on mean frames."""
    vectors = [
        np.stack([frames.mean(axis=0) for _, frames in sorted(read_frames(reference, "feats"))])
        for reference in (train_set, test_set)
    ]
    grid = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    machine = train(vectors[0], train_set.labels, read_artists(train_set), train_set.classes, grid)
    return machine.scores(vectors[1])


def one_fold(
    fold: Path, args: argparse.Namespace
) -> tuple[Reference, dict[str, np.ndarray], dict[str, float]]:
    """Return the test tracks, log posteriors (num_tracks, C) by system, and seconds of training."""
    train_set, test_set = (read_reference(fold / part) for part in ("train", "test"))
    started = time.perf_counter()
    trained, _, notes = train_best.train_system(train_set, args)
    seconds = {"best": time.perf_counter() - started}
    cli.log(notes)
    pieces = read_pieces(test_set, trained.candidates)
    found = replace(trained.ensemble, members=trained.candidates).part_scores(pieces)
    scores = {"best": trained.ensemble.fused(found), **found}
    started = time.perf_counter()
    scores[SVM] = svm_scores(train_set, test_set)
    seconds[SVM] = time.perf_counter() - started
    return test_set, scores, seconds


def paired(differences: np.ndarray, share: float) -> float:
    """Return the two-sided p of differences by fold, (n,), ``share`` the tests' size over the training's."""
    error = np.sqrt(differences.var(ddof=1) * (1 / len(differences) + share))
    t = abs(differences.mean()) / error if error else 0.0
    return float(2 * stdtr(len(differences) - 1, -t))


def print_table(right: dict, confidence: dict, seconds: dict, folds: int) -> None:
    """Print a row for each system, of arrays of a value a track by fold, and of seconds by fold."""
    by_fold = {name: np.array([hits.mean() for hits in found]) for name, found in right.items()}
    print("| system | % right | by repeat | ECE, points | seconds a fold | p, against best |")
    print("|---|---|---|---|---|---|")
    for name, found in right.items():
        hits = np.concatenate(found)
        repeats = [np.concatenate(found[n : n + folds]).mean() for n in range(0, len(found), folds)]
        bins = reliability(np.concatenate(confidence[name]), hits)
        error = "" if name == SVM else f"{100 * expected_calibration_error(bins):.1f}"
        cost = f"{np.mean(seconds[name]):.1f}" if name in seconds else ""
        differences = by_fold[name] - by_fold["best"]
        p = f"{paired(differences, 1 / (folds - 1)):.3f}" if differences.any() else ""
        shown = " ".join(f"{100 * share:.1f}" for share in repeats)
        print(f"| {name} | {100 * hits.mean():.2f} | {shown} | {error} | {cost} | {p} |")


def main(argv: list[str] | None = None) -> int:
    """Run all folds and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=cli.positive_int, default=4)
    parser.add_argument("--outer-folds", type=cli.positive_int, default=5)
    parser.add_argument("data", type=Path)
    args, rest = parser.parse_known_args(argv)
    options = train_best.get_parser().parse_args([*rest, str(args.data), "none"])
    right, confidence, seconds = (defaultdict(list) for _ in range(3))
    with tempfile.TemporaryDirectory() as work:
        data = prepare(args.data, Path(work) / "all")
        for repeat in range(args.repeats):
            folds = splits.deal(data.tables["utt2spk"], data.tables["utt2genre"], args.outer_folds, repeat)
            for fold in sorted(set(folds.values())):
                for part in ("train", "test"):
                    chosen = [utt for utt in data.utts if (folds[utt] == fold) == (part == "test")]
                    data_dir.write_subset(data, chosen, Path(work) / part)
                test, scores, spent = one_fold(Path(work), options)
                for name, score in scores.items():
                    right[name].append(score.argmax(axis=1) == test.labels)
                    confidence[name].append(np.exp(score).max(axis=1))
                for name, value in spent.items():
                    seconds[name].append(value)
    print_table(right, confidence, seconds, args.outer_folds)
    return 0


if __name__ == "__main__":
    cli.run(main)
