"""Choosing tracks by artist: which go to cross-validation, which to which fold.

The unit is a group: all tracks of an artist, or a single track. The order in which groups are considered
comes from a hash of seed and name: no random number generator and nothing else in the corpus decides.
"""

import argparse
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

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
    totals: Counter[str] = Counter()
    for counts in groups.values():
        totals.update(counts)
    return dict(sorted(totals.items()))


def choose_held_out(groups: Groups, share: float, seed: int, *, floor_share: float = 0.34) -> set[str]:
    """Choose groups that hold about ``share`` (0 to 1) of the tracks of every class.

    Where no group spans two classes the number held out of each class is the closest to its share that any
    set of groups reaches; groups that span classes are chosen by local search on the squared deviations. A
    class never loses its last group. A class that would lose none gives its smallest group, if that has at
    most ``floor_share`` of the class.
    """
    totals = class_totals(groups)
    order = stable_order(groups, seed)
    spanning = {genre for counts in groups.values() if len(counts) > 1 for genre in counts}
    chosen: set[str] = set()
    for genre in totals:
        if genre not in spanning:
            sizes = [(name, groups[name][genre]) for name in order if genre in groups[name]]
            chosen |= _closest_subset(sizes, share * totals[genre])
    members = [name for name in order if spanning.intersection(groups[name])]
    if members:
        chosen |= _local_search(groups, members, {g: share * totals[g] for g in sorted(spanning)})
    for genre, total in totals.items():
        if any(genre in groups[name] for name in chosen):
            continue
        remaining = Counter(g for name in order if name not in chosen for g in groups[name])
        small = [name for name in order if 0 < groups[name].get(genre, 0) <= floor_share * total]
        may_go = [name for name in small if all(remaining[g] > 1 for g in groups[name])]
        chosen |= set(sorted(may_go, key=lambda name: sum(groups[name].values()))[:1])
    return chosen


def _closest_subset(sizes: list[tuple[str, int]], target: float) -> set[str]:
    """Return names, never all, whose sizes add up as close to ``target`` as possible (the smaller of two)."""
    reached: dict[int, tuple[int, str, int]] = {0: (0, "", 0)}  # from which total, with whom, how many
    ideal = math.ceil(target - 0.5)
    for name, size in sizes:
        if ideal in reached:
            break
        for total, (_, _, count) in sorted(reached.items()):
            if total + size not in reached and total <= target and count + 1 < len(sizes):
                reached[total + size] = (total, name, count + 1)
    total = min(reached, key=lambda total: (abs(total - target), total))
    chosen = set()
    while total:
        total, name, _ = reached[total]
        chosen.add(name)
    return chosen


def _local_search(groups: Groups, members: list[str], targets: Mapping[str, float]) -> set[str]:
    """Add, remove and exchange groups while the squared relative deviation from the targets falls."""
    counts = np.array([[groups[name].get(genre, 0) for genre in targets] for name in members], float)
    aim, totals = np.array(list(targets.values())), counts.sum(axis=0)
    weight = 1.0 / np.maximum(aim, 1e-9)
    inside = np.zeros(len(members), bool)

    def cost(held: np.ndarray) -> np.ndarray:
        """Return the deviation of counts of shape (..., classes); infinite where a class keeps no group."""
        deviation = (weight * (held - aim) ** 2).sum(axis=-1)
        return np.where((held < totals).all(axis=-1), deviation, np.inf)

    while True:
        held, change = counts[inside].sum(axis=0), np.where(inside[:, None], -counts, counts)
        best, move = float(cost(held)) - 1e-9, None
        for given in (None, *np.flatnonzero(inside)):  # back for another, or none
            others = np.arange(len(members)) if given is None else np.flatnonzero(~inside)
            costs = cost(held + (0 if given is None else change[given]) + change[others])
            if len(others) and costs.min() < best:
                best = float(costs.min())
                move = [others[costs.argmin()], *([] if given is None else [given])]
        if move is None:
            return {members[i] for i in np.flatnonzero(inside)}
        inside[move] = ~inside[move]


def deal(
    utt2group: Mapping[str, str], utt2genre: Mapping[str, str], num_folds: int, seed: int
) -> dict[str, int]:
    """Deal groups into folds 1 to K, each with about as many tracks of every class; return every track's.

    scikit-learn deals them, the most uneven groups first. UserError if K is less than 2, or a class has
    fewer groups than K: some fold would lack the class.
    """
    if num_folds < 2:
        raise UserError(f"{num_folds} folds: at least 2 are needed")
    dealt = Counter(genre for counts in group_counts(utt2group, utt2genre).values() for genre in counts)
    rarest, number = min(sorted(dealt.items()), key=lambda item: item[1])
    if number < num_folds:
        raise UserError(
            f"class {rarest} has {number} artists or tracks to deal, too few for {num_folds} folds; "
            f"use at most {number} folds, or --fold-by utt"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # a second to import

    # The order decides among groups that scikit-learn finds equal. Shuffling has a cost: what is shuffled is
    # not dealt largest first, and classes go missing from folds.
    rank = {group: i for i, group in enumerate(stable_order(set(utt2group.values()), seed))}
    utts = list(utt2group)
    groups, genres = (
        np.array([rank[utt2group[utt]] for utt in utts]),
        np.array([utt2genre[utt] for utt in utts]),
    )
    parts = StratifiedGroupKFold(num_folds).split(genres, genres, groups)
    return {utts[i]: fold for fold, (_, held) in enumerate(parts, start=1) for i in held}
