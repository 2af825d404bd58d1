"""Choosing tracks by artist: which are held out, which go to which fold.

The unit is a group: all tracks of an artist, or a single track. The order in which groups are considered
comes from a hash of seed and name: no random number generator and nothing else in the corpus decides.
"""

import argparse
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from utils.cli import UserError, finite_float

Groups = Mapping[str, Mapping[str, int]]  # for each group, how many tracks it has in each class


def share(text: str) -> float:
    """Parse a percentage between 0 and 100 as a share between 0 and 1."""
    if not 0 < finite_float(text) < 100:
        raise argparse.ArgumentTypeError(f"expected a percentage between 0 and 100, got '{text}'")
    return float(text) / 100


def stable_order(names: Iterable[str], seed: int) -> list[str]:
    """Return the names in an order that only ``seed`` and each name decide."""
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed} {name}".encode()).digest(), name))


def group_counts(utt2group: Mapping[str, str], utt2genre: Mapping[str, str]) -> dict[str, Counter[str]]:
    """Return for each group how many tracks it has in each class."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for utt, group in utt2group.items():
        groups[group][utt2genre[utt]] += 1
    return dict(groups)


def class_totals(groups: Groups) -> dict[str, int]:
    """Return the number of tracks of each class, in C order."""
    return dict(sorted(sum(map(Counter, groups.values()), Counter[str]()).items()))


def choose_held_out(groups: Groups, share: float, seed: int, *, floor_share: float = 0.34) -> set[str]:
    """Choose groups that hold about ``share`` (0 to 1) of the tracks of every class.

    Those are taken that fit into what is left of every class's share, then those that bring the counts nearer
    to it. A class never loses its last group; one that would lose none gives its smallest group, if that has
    at most ``floor_share`` of the class.
    """
    totals, order = class_totals(groups), stable_order(groups, seed)
    held: Counter[str] = Counter()
    chosen: set[str] = set()

    def deviation(counts: Counter[str]) -> float:
        return sum((counts[genre] - share * total) ** 2 / total for genre, total in totals.items())

    def spares(name: str) -> bool:
        return all(held[genre] + count < totals[genre] for genre, count in groups[name].items())

    def take(name: str) -> None:
        chosen.add(name)
        held.update(groups[name])

    for name in order:
        if all(held[genre] + count <= share * totals[genre] for genre, count in groups[name].items()):
            take(name)
    for name in order:
        if name not in chosen and spares(name) and deviation(held + Counter(groups[name])) < deviation(held):
            take(name)
    for genre, total in totals.items():
        small = [name for name in order if 0 < groups[name].get(genre, 0) <= floor_share * total]
        may_go = [name for name in small if not held[genre] and spares(name)]
        for name in sorted(may_go, key=lambda name: sum(groups[name].values()))[:1]:
            take(name)
    return chosen


def deal(
    utt2group: Mapping[str, str], utt2genre: Mapping[str, str], num_folds: int, seed: int
) -> dict[str, int]:
    """Deal groups into folds 1 to K, each with about as many tracks of every class; return every track's.

    UserError if K is less than 2, or a class has fewer groups than K: some fold would lack the class.
    """
    dealt = Counter(genre for counts in group_counts(utt2group, utt2genre).values() for genre in counts)
    rarest, number = min(sorted(dealt.items()), key=lambda item: item[1])
    if not 2 <= num_folds <= number:
        raise UserError(
            f"class {rarest} has {number} artists or tracks to deal into {num_folds} folds; "
            f"use 2 to {number} folds, or --fold-by utt"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # a second to import

    # The order decides among groups that scikit-learn finds equal. Shuffling has a cost: what is shuffled is
    # not dealt largest first, and classes go missing from folds.
    rank = {group: i for i, group in enumerate(stable_order(set(utt2group.values()), seed))}
    utts, ranks = list(utt2group), [rank[group] for group in utt2group.values()]
    genres = [utt2genre[utt] for utt in utts]
    parts = StratifiedGroupKFold(num_folds).split(genres, genres, ranks)
    return {utts[i]: fold for fold, (_, held) in enumerate(parts, start=1) for i in held}
