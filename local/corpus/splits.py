"""Choosing tracks by artist: which go to cross-validation, which to which fold.

The unit is a group: all tracks of an artist, or a single track. A group is never divided. The order in
which groups are considered comes from a hash of seed and name, so that it does not depend on the version
of a random number generator, nor on what else is in the corpus.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from utils import tables
from utils.cli import UserError

Groups = Mapping[str, Mapping[str, int]]


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
        may_go = [
            name
            for name in order
            if 0 < groups[name].get(genre, 0) <= floor_share * total
            and all(remaining[g] > 1 for g in groups[name])
        ]
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
    genres = list(targets)
    counts = np.array([[groups[name].get(genre, 0) for genre in genres] for name in members], float)
    aim = np.array([targets[genre] for genre in genres])
    weight = 1.0 / np.maximum(aim, 1e-9)
    inside = np.zeros(len(members), bool)

    def cost(held: np.ndarray) -> np.ndarray:
        return (weight * (held - aim) ** 2).sum(axis=-1)

    def allowed(flips: list) -> bool:
        """Whether every class keeps a group outside once ``flips`` have changed sides."""
        after = inside.copy()
        after[flips] = ~after[flips]
        return bool((counts[~after].sum(axis=0) > 0).all())

    while True:
        held = counts[inside].sum(axis=0)
        best, move = float(cost(held)) - 1e-9, None
        outside = np.flatnonzero(~inside)
        flipped = cost(held + np.where(inside[:, None], -counts, counts))
        for i in np.flatnonzero(flipped < best):
            if flipped[i] < best and allowed([i]):
                best, move = float(flipped[i]), [i]
        for i in np.flatnonzero(inside):
            swapped = cost(held - counts[i] + counts[outside])
            for j in np.flatnonzero(swapped < best):
                if swapped[j] < best and allowed([i, outside[j]]):
                    best, move = float(swapped[j]), [i, outside[j]]
        if move is None:
            return {members[i] for i in np.flatnonzero(inside)}
        inside[move] = ~inside[move]


def assign_folds(groups: Groups, num_folds: int, seed: int) -> dict[str, int]:
    """Deal groups into folds 1 to K so that every fold has about the same number of tracks of every class.

    scikit-learn deals them, the most uneven groups first. UserError if K is less than 2, or a class has
    fewer groups than K: some fold would lack the class.
    """
    if num_folds < 2:
        raise UserError(f"{num_folds} folds: at least 2 are needed")
    totals = class_totals(groups)
    dealt = {genre: sum(genre in counts for counts in groups.values()) for genre in totals}
    rarest = min(dealt, key=lambda genre: dealt[genre])
    if dealt[rarest] < num_folds:
        raise UserError(
            f"class {rarest} has {dealt[rarest]} artists or tracks to deal, too few for {num_folds} folds; "
            f"use at most {dealt[rarest]} folds, or --fold-by utt"
        )
    from sklearn.model_selection import StratifiedGroupKFold  # a second to import

    order = stable_order(groups, seed)  # decides among groups that scikit-learn finds equal
    rows = [(rank, genre) for rank, name in enumerate(order) for genre in Counter(groups[name]).elements()]
    ranks, labels = np.array([rank for rank, _ in rows]), np.array([genre for _, genre in rows])
    # It shuffles at a cost: what is shuffled is not dealt largest first, and classes go missing from folds.
    parts = StratifiedGroupKFold(num_folds).split(labels, labels, ranks)
    return {order[rank]: fold for fold, (_, held) in enumerate(parts, start=1) for rank in ranks[held]}


def deal(
    utt2group: Mapping[str, str], utt2genre: Mapping[str, str], num_folds: int, seed: int
) -> dict[str, int]:
    """Return the fold of every utterance, from 1 to K; see :func:`assign_folds`."""
    folds = assign_folds(group_counts(utt2group, utt2genre), num_folds, seed)
    return {utt: folds[group] for utt, group in utt2group.items()}


def read_folds(path: str, utts: Collection[str], source: str) -> dict[str, int]:
    """Read a table of folds 1 to K without gaps of the utterances of ``source``."""
    table = tables.read_table(path)
    if different := sorted(table.keys() ^ set(utts)):
        sizes = f"{len(table)} utterances, {source} has {len(utts)}"
        raise UserError(f"{path}: {sizes}; '{different[0]}' is in only one of them")
    present = sorted(set(table.values()), key=lambda fold: (len(fold), fold))
    if len(present) < 2 or present != [str(fold + 1) for fold in range(len(present))]:
        raise UserError(f"{path}: expected folds 1 to K, at least 2 of them, got {' '.join(present[:20])}")
    return {utt: int(fold) for utt, fold in table.items()}
