"""What a trained system consists of: the files behind an experiment, and one zip with all of them.

The zip holds the parts and ``manifest.json`` with kind, format, sizes, checksums and provenance: no code, no
pickle. Nothing is believed before size and checksum are right. Networks that make it too large are rounded.
"""

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steps.arrays import read_model, write_arrays
from steps.classifiers.model import read_ensemble
from steps.systems import registry
from utils import atomic
from utils.cli import UserError
from utils.provenance import read_record
from utils.tables import read_classes

FORMAT = 2
MANIFEST = "manifest.json"
MAX_MEGABYTES = 40.0
MAX_BYTES = 1 << 30
"""The parts are not larger; a manifest, which is read before its size is believed, is below a thousandth."""
BITS = 12
"""Of a rounded weight: with high and low bytes apart, deflate stores it in a third of a float's."""
TRANSFORM = "feature_transform.nnet"
KINDS = {
    "network": ("scattering.conf", TRANSFORM, "final_test.nnet"),
    "svm": ("scattering.conf", "svm.npz"),
    "best": ("scattering.conf", "best.npz"),
    **dict.fromkeys(registry.NAMES, ("system.conf", "model.npz")),
    "sig2014": ("system.conf", "model.npz", "network.npz"),
}
"""The parts of each kind of system, beside ``audio.conf`` (from recordings to samples) and ``genres.txt``."""
FURTHER = re.compile(
    rf"scattering_\w+\.conf|{re.escape(TRANSFORM)}|(final_test|network_\w+)\.(nnet|rounded\.npz)", re.ASCII
)
"""What a system may have besides: networks of an SVM or of ``best``, further scales of frames of ``best``."""


@dataclass(frozen=True)
class TrainedSystem:
    """A system and where its parts lie."""

    kind: str
    parts: Mapping[str, Path]
    provenance: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of all scores."""
        return read_classes(self.parts["genres.txt"])

    @property
    def networks(self) -> list[str]:
        """Names of the parts that are networks, apart from the transform."""
        return sorted(name for name in self.parts if name.endswith(".nnet") and name != TRANSFORM)


def _needed(kind: str) -> Set[str]:
    if kind not in KINDS:
        raise UserError(
            f"a system of kind '{kind}' is not known here; it needs another version of the recipe"
        )
    return {"audio.conf", "genres.txt", *KINDS[kind]}


def collect(exp_dir: Path) -> TrainedSystem:
    """Find the parts of a trained experiment; of exp/<corpus>_sc, of the SVM in it."""
    exp_dir = exp_dir / "svm_sc" if (exp_dir / "svm_sc/svm.npz").is_file() else exp_dir
    marks = {"svm.npz": "svm", "best.npz": "best", "final_test.nnet": "network", "model.npz": ""}
    mark = next((name for name in marks if (exp_dir / name).is_file()), None)
    if mark is None:
        raise UserError(f"{exp_dir}: no trained system, which has one of {' '.join(marks)}; train it first")
    home = exp_dir.resolve().parent if mark == "svm.npz" else exp_dir
    here, trains = home.resolve(), home.resolve().parent.parent.glob("data/*/train")
    fitting = [train for train in trains if here.name.startswith(f"{train.parent.name}_")]
    if not fitting:
        raise UserError(f"{exp_dir}: no folder of data/ belongs to it by its name")
    train = max(fitting, key=lambda path: len(path.parent.name))
    provenance = read_record(home)
    kind = marks[mark] or str(provenance.get("system"))
    parts = {name: train / name for name in ("audio.conf", "genres.txt", "scattering.conf")}
    parts |= {TRANSFORM: train.with_name("cmvn") / TRANSFORM, "final_test.nnet": home / "final_test.nnet"}
    names = set(_needed(kind))
    if kind == "svm" and parts["final_test.nnet"].is_file():
        names |= {TRANSFORM, "final_test.nnet"}
    for member in read_ensemble(exp_dir / "best.npz").members if kind == "best" else ():
        if member.network:
            name = f"network_{member.network}.nnet"
            other = home.with_name(home.name.removesuffix("best") + member.network)
            parts[name] = other / "final_test.nnet"
            names |= {TRANSFORM, name}
        else:
            name = f"scattering{member.feats.removeprefix('feats')}.conf"
            parts[name] = train / name
            names.add(name)
    found = {name: parts.get(name, exp_dir / name) for name in names}
    for path in found.values():
        if not path.is_file():
            raise UserError(f"{path}: no such file, which {exp_dir} needs; run the stages before")
    facts = {key: provenance[key] for key in ("commit", "seed") if key in provenance}
    return TrainedSystem(kind, found, {"experiment": str(exp_dir), **facts})


def export(system: TrainedSystem, path: Path, max_megabytes: float = MAX_MEGABYTES) -> str:
    """Write a system into one zip, the same bytes for the same system; return what was rounded, if anything.

    Weights of networks are rounded where it would not be smaller than ``max_megabytes``.
    """
    contents = {name: source.read_bytes() for name, source in sorted(system.parts.items())}
    rounded = ""
    data = _zip(system, contents, rounded)
    if len(data) >= 1e6 * max_megabytes and system.networks:
        rounded = f"weights of {', '.join(system.networks)} rounded to {BITS} bits"
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            for name in system.networks:
                for file in _round(system.parts[name], Path(folder) / name):
                    contents[file.name] = file.read_bytes()
        data = _zip(system, contents, rounded)
    if len(data) >= 1e6 * max_megabytes:
        size = f"{len(data) / 1e6:.1f} MB, expected less than {max_megabytes:g}"
        raise UserError(f"{path}: {size}; give a larger --max-megabytes")
    with atomic.replacing(path, "wb") as target:
        target.write(data)
    return rounded


def _zip(system: TrainedSystem, contents: Mapping[str, bytes], rounded: str) -> bytes:
    facts = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    provenance = {**system.provenance, **({"rounded": rounded} if rounded else {})}
    manifest = {"format": FORMAT, "kind": system.kind, "provenance": provenance, "parts": facts}
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {MANIFEST: text.encode(), **contents}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return file.getvalue()


def unpack(path: Path, folder: Path) -> TrainedSystem:
    """Unpack a zip of :func:`export`; refuse whatever is not as its manifest says."""
    if not path.exists():
        raise UserError(f"{path}: no such experiment or zip")
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(_read(archive, MANIFEST, MAX_BYTES // 1024))
            if (version := manifest.get("format")) != FORMAT:
                raise UserError(f"made by another version of the recipe: format {version}, expected {FORMAT}")
            kind, facts = str(manifest["kind"]), manifest["parts"]
            needed = _needed(kind)
            if not needed <= set(facts) or not all(map(FURTHER.fullmatch, set(facts) - needed)):
                raise UserError(f"expected the parts {sorted(needed)}, got {sorted(facts)}")
            if {*archive.namelist()} != {MANIFEST, *facts}:
                raise UserError("it holds other files than its manifest says")
            sizes = [fact["bytes"] for fact in facts.values()]
            if min(sizes) < 0 or sum(sizes) > MAX_BYTES:
                raise UserError(f"its parts are larger than {MAX_BYTES} bytes together")
            for name, fact in facts.items():
                content = _read(archive, name, fact["bytes"])
                if hashlib.sha256(content).hexdigest() != fact["sha256"]:
                    raise UserError(f"{name} is not what the manifest says; export the system again")
                if zipfile.is_zipfile(file := io.BytesIO(content)):
                    entries = zipfile.ZipFile(file).infolist()
                    if sum(entry.file_size for entry in entries) > len(content):  # could fill the memory
                        raise UserError(f"{name}: its arrays are compressed")
                (folder / name).write_bytes(content)
        parts = {name: folder / name for name in facts}
        for name in [name for name in parts if name.endswith(".rounded.npz")]:
            _restore(parts.pop(name), folder / name.replace(".rounded.npz", ".nnet"))
        return TrainedSystem(kind, parts, dict(manifest["provenance"]))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # noqa: BLE001 (zip, zlib, JSON, key and type errors of many kinds)
        raise UserError(f"{path}: not a system of export_system.sh ({error})") from error


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read at most ``limit`` bytes of an entry, whatever its header says of its size."""
    with archive.open(name) as entry:
        content = entry.read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{name} is larger than the manifest says")
    return content


def _matrices(network: Any) -> Iterator[tuple[str, np.ndarray]]:
    return ((f"{index}.{name}", value) for index, name, value in network.params() if value.ndim == 2)


def _round(source: Path, target: Path) -> tuple[Path, Path]:
    """Write a network whose matrices are zero, and an npz of these: every row as multiples of its own step.

    Of each matrix there are the ``step`` of every row, and the ``high`` and ``low`` bytes of the multiples.
    """
    from steps.nnet1.model_file import read_network, write_network

    network = read_network(source)
    arrays: dict[str, np.ndarray] = {}
    for name, matrix in _matrices(network):
        step = np.abs(matrix).max(axis=1) / np.float32(2 ** (BITS - 1) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            multiples = np.where(step[:, None] > 0, np.rint(matrix / step[:, None]), 0).astype(np.int16)
        arrays |= {f"{name}.step": step, f"{name}.high": (multiples >> 8).astype(np.int8)}
        arrays[f"{name}.low"] = (multiples & 255).astype(np.uint8)
        matrix[:] = 0
    write_network(network, target)
    planes = target.with_suffix(".rounded.npz")
    write_arrays(planes, arrays)
    return target, planes


def _restore(planes: Path, path: Path) -> None:
    """Give a network that :func:`_round` wrote its rounded matrices, unless their shapes are others."""
    from steps.nnet1.model_file import read_network, write_network

    network = read_network(path)
    arrays = read_model(planes, "the rounded weights of a network", dict)
    for name, matrix in _matrices(network):
        step, high, low = (arrays[f"{name}.{part}"] for part in ("step", "high", "low"))
        if (high.shape, low.shape, step.shape) != (matrix.shape, matrix.shape, matrix.shape[:1]):
            raise UserError(f"{planes.name}: {name} has another shape; export the system again")
        matrix[:] = (high.astype(np.int16) * 256 + low) * step[:, None]
        if not np.isfinite(matrix).all():
            raise UserError(f"{planes.name}: {name} is not finite; export the system again")
    write_network(network, path)
    planes.unlink()
