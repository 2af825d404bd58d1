#!/usr/bin/env python3
"""Download the ISMIR2004 Genre corpus (Magnatune, CC BY-NC-SA 1.0) from Zenodo and unpack it.

Asks the record for its files, fetches each (an interrupted download goes on where it was), checks sizes
and checksums, and unpacks them. What is complete is not fetched again. Needs some 20 GB of disk.

Usage: download_ismir04.py [options] <corpus-root>
 e.g.: download_ismir04.py /corpora/ismir04_genre
"""

from __future__ import annotations

from pathlib import Path

from local.corpus import download
from utils import atomic, cli

RECORD = "https://zenodo.org/api/records/1302992"


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("download_ismir04.py [options] <corpus-root>", __doc__)
    parser.add_argument("--record-url", default=RECORD, help="the record, as JSON")
    parser.add_argument("--retries", type=int, default=8, help="attempts in a row that may bring nothing")
    parser.add_argument("--timeout", type=cli.finite_float, default=60.0, help="seconds of silence")
    parser.add_argument("--keep-archives", type=cli.boolean, default=True, help="after they are unpacked")
    parser.add_argument("corpus_root", type=Path)
    return parser


def find_corpus(root: Path) -> Path | None:
    """Return the folder with audio/ and metadata/ at most two levels below ``root``."""
    for pattern in ("metadata", "*/metadata", "*/*/metadata"):
        for metadata in sorted(root.glob(pattern)):
            if (metadata.parent / "audio").is_dir():
                return metadata.parent
    return None


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    root: Path = args.corpus_root
    archives = root / "archives"
    for remote in download.read_record(args.record_url, args.retries, args.timeout):
        stamp = archives / f".{remote.name}.unpacked"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == remote.checksum:
            cli.log(f"{remote.name}: fetched and unpacked before")
            continue
        path = download.fetch(remote, archives, args.retries, args.timeout)
        download.unpack(path, root)
        with atomic.replacing(stamp) as file:
            file.write(remote.checksum)
        if not args.keep_archives:
            path.unlink()
    corpus = find_corpus(root)
    if corpus is None:
        raise cli.UserError(
            f"{root}: no folder with audio/ and metadata/ in what the record holds; look inside"
        )
    cli.log(f"complete; prepare it with: local/prepare_ismir04.py {corpus} data/ismir04")
    return 0


if __name__ == "__main__":
    cli.run(main)
