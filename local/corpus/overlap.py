"""What train shares with a test set: artists, and recordings with the same content.

Both make accuracies look better than they are. Samples are compared (utt2hash, which steps/convert_audio.sh
writes), and so the same audio is found under other names, tags and lossless formats.
"""

from pathlib import Path

from utils import tables


def describe_artists(data_dir: Path, name: str) -> str:
    """Say how many tracks of a set are by artists of train.

    Artists are not known where the set's file artists_unknown says so, or no two tracks have the same.
    """
    train, other = (list(tables.read_table(data_dir / x / "utt2spk").values()) for x in ("train", name))
    note, known = data_dir / name / "artists_unknown", set(train)
    if note.is_file():
        return f"Artist overlap: unknown: {tables.read_text(note)}"
    if len({*train, *other}) == len(train) + len(other) and len(other) > 1:
        return "Artist overlap: unknown: every track stands as an artist of its own in utt2spk"
    tracks, artists = sum(artist in known for artist in other), set(other)
    share = f"{tracks} of {len(other)} tracks of {name} ({100 * tracks / len(other):.1f} %)"
    return (
        f"Artist overlap: {share} are by artists of train, {len(artists & known)} of {len(artists)} artists"
    )


def describe_overlap(data_dir: Path, name: str) -> str:
    """Say also which recordings of the set have the content of one in train, where that is known."""
    text = f"{describe_artists(data_dir, name)}."
    hashes = [data_dir / x / "utt2hash" for x in ("train", name)]
    if all(path.is_file() for path in hashes):
        train, other = map(tables.read_table, hashes)
        first = {key: utt for utt, key in reversed(train.items())}
        twins = [f"{utt} that of {first[key]}" for utt, key in other.items() if key in first]
        text += f" {len(twins)} of {len(other)} recordings have the content of one in train"
        text += f": {', '.join(twins)}." if twins else "."
    return text
