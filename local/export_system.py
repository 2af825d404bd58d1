#!/usr/bin/env python3
"""Put everything that a trained network needs to classify new music into one zip (steps/classify).

Usage: local/export_system.sh [options] <exp-dir> <zip>
 e.g.: local/export_system.sh exp/ismir04_lstm_512 lstm_512.zip
"""

from __future__ import annotations

import json
from pathlib import Path

from steps import compute_scattering, convert_audio
from steps.classify.system import System, write_zip
from utils import cli, tables


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("export_system.py [options] <exp-dir> <zip>", __doc__)
    parser.add_argument("--data", type=Path, help="its data (data/<corpus> of exp/<corpus>_…)")
    parser.add_argument(
        "--audio-config", default="conf/audio.conf", help="with which the audio was converted"
    )
    parser.add_argument(
        "--scattering-config", default="conf/scattering.conf", help="with which it has features"
    )
    parser.add_argument("exp_dir", type=Path)
    parser.add_argument("zip", type=Path)
    return parser


def load_experiment(exp: Path, data: Path | None, audio_config: str, scattering_config: str) -> System:
    """Gather a system from the folder of its experiment.

    Raises
    ------
    UserError
        If a file is missing, or the data directory cannot be told.
    """
    if data is None:
        words = exp.resolve().name.split("_")
        places = [exp.resolve().parents[1] / "data" / "_".join(words[:n]) for n in range(len(words), 0, -1)]
        data = next((place for place in places if (place / "cmvn").is_dir()), None)
        if data is None:
            raise cli.UserError(f"{exp}: no data/<corpus> with a transform fits its name; give --data")
    files = {
        "final_test.nnet": exp / "final_test.nnet",
        "feature_transform.nnet": data / "cmvn/feature_transform.nnet",
        "svm_lstm.npz": exp / "svm_lstm/svm.npz",
        "svm_fusion.npz": exp / "svm_fusion/svm.npz",
    }
    needed = list(files.values())[:2]
    if missing := next((path for path in needed if not path.is_file()), None):
        raise cli.UserError(f"{missing}: no such file; run the stages that train {exp.name}")
    audio = convert_audio.get_parser().parse_args(["--config", audio_config, "wav.scp", "wav", "wav22k.scp"])
    feats = compute_scattering.get_parser().parse_args(["--config", scattering_config, "scp:x", "ark:y"])
    record = exp / "training.json"
    return System(
        "network",
        tuple(tables.read_lines(data / "train/genres.txt")),
        compute_scattering.transform(feats),
        convert_audio.conversion(audio),
        json.loads(record.read_text()) if record.is_file() else {},
        {name: path.read_bytes() for name, path in files.items() if path.is_file()},
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    system = load_experiment(args.exp_dir, args.data, args.audio_config, args.scattering_config)
    write_zip(args.zip, system)
    cli.log(f"{args.zip}: {args.zip.stat().st_size / 1e6:.1f} MB: {' '.join(system.parts)}")
    return 0


if __name__ == "__main__":
    cli.run(main)
