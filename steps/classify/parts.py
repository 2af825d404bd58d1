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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from steps.classifiers.model import read_ensemble
from steps.systems import registry
from utils import atomic
from utils.cli import UserError
from utils.provenance import read_record
from utils.tables import read_classes

FORMAT = 3
MANIFEST = "manifest.json"
MAX_BYTES, MAX_TEXT, MAX_RATIO = 1 << 30, 1 << 20, 64
"""Nothing is larger: the parts together, a text, the parts over the zip."""
MAX_ZIP = 40_000_000
"""Bytes below which a zip with networks is kept …"""
BITS = (24, 10, 9, 8)
"""… by as many significant bits of their weights as there is room for; 24 are all of a float."""
TRANSFORM = "feature_transform.nnet"
KINDS = {
    "network": ("scattering.conf", TRANSFORM, "final_test.nnet"),
    "svm": ("scattering.conf", "svm.npz"),
    "best": ("scattering.conf", "best.npz"),
    **dict.fromkeys(registry.NAMES, ("system.conf", "model.npz")),
    "sig2014": ("system.conf", "model.npz", "network.npz"),
}
"""The parts of each kind of system, beside ``audio.conf`` (from recordings to samples) and ``genres.txt``."""
FURTHER = re.compile(r"scattering_\w+\.conf|(feature_transform|final_test|network_\w+)\.nnet", re.ASCII)
"""What a system may have besides: networks of an SVM or of ``best``, further scales of frames of ``best``."""


class TrainedSystem(NamedTuple):
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


def _needed(kind: str, names: Iterable[str]) -> set[str]:
    """Return the parts of a system that has those of some names."""
    if kind not in KINDS:
        raise UserError(f"a system of kind '{kind}' needs another version of the recipe")
    transform = [TRANSFORM] if any(name.endswith(".nnet") for name in names) else []
    return {"audio.conf", "genres.txt", *KINDS[kind], *transform}


def collect(exp_dir: Path) -> TrainedSystem:
    """Find the parts of a trained experiment; of exp/<corpus>_sc, of the SVM in it."""
    exp_dir = exp_dir / "svm_sc" if (exp_dir / "svm_sc/svm.npz").is_file() else exp_dir
    marks = {"svm.npz": "svm", "best.npz": "best", "final_test.nnet": "network", "model.npz": ""}
    mark = next((name for name in marks if (exp_dir / name).is_file()), None)
    if mark is None:
        raise UserError(f"{exp_dir}: no trained system, which has one of {' '.join(marks)}; train it first")
    home = exp_dir.resolve().parent if mark == "svm.npz" else exp_dir.resolve()
    trains = home.parent.parent.glob("data/*/train")
    fitting = [train for train in trains if home.name.startswith(f"{train.parent.name}_")]
    if not fitting:
        raise UserError(f"{exp_dir}: no folder of data/ belongs to it by its name")
    train = max(fitting, key=lambda path: len(path.parent.name))
    provenance = read_record(home)
    kind = marks[mark] or str(provenance.get("system"))
    network = home / "final_test.nnet"
    further = {network.name: network} if kind == "svm" and network.is_file() else {}
    for member in read_ensemble(exp_dir / "best.npz").members if kind == "best" else ():
        if member.network:
            other = home.with_name(home.name.removesuffix("best") + member.network)
            further[f"network_{member.network}.nnet"] = other / network.name
        else:
            name = f"scattering{member.feats.removeprefix('feats')}.conf"
            further[name] = train / name
    folders = dict.fromkeys(("audio.conf", "genres.txt", "scattering.conf"), train)
    folders[TRANSFORM] = train.with_name("cmvn")
    found = {name: folders.get(name, exp_dir) / name for name in _needed(kind, further)} | further
    for path in found.values():
        if not path.is_file():
            raise UserError(f"{path}: no such file, which {exp_dir} needs; run the stages before")
    facts = {key: provenance[key] for key in ("commit", "seed") if key in provenance}
    return TrainedSystem(kind, found, {"experiment": str(exp_dir), **facts})


def export(system: TrainedSystem, path: Path) -> str:
    """Write a system into one zip, the same bytes for the same system; return what was rounded, if any."""
    contents = {name: source.read_bytes() for name, source in sorted(system.parts.items())}
    rounded = ""
    for bits in BITS if system.networks else BITS[:1]:
        if bits != BITS[0]:
            rounded = f"weights of {', '.join(system.networks)} rounded to {bits} significant bits"
            contents |= {name: _rounded(system.parts[name], bits) for name in system.networks}
        data = _zip(system, contents, rounded)
        if len(data) < MAX_ZIP:
            break
    with atomic.replacing(path, "wb") as target:
        target.write(data)
    return rounded


def _rounded(source: Path, bits: int) -> bytes:
    from steps.nnet1.model_file import read_network, write_network

    network = read_network(source)
    for _, _, weights in network.params():
        mantissa, exponent = np.frexp(weights)
        weights[:] = np.ldexp(np.rint(mantissa * 2.0**bits), exponent - bits)
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        write_network(network, target := Path(folder, source.name))
        return target.read_bytes()


def _zip(system: TrainedSystem, contents: Mapping[str, bytes], rounded: str) -> bytes:
    """Return the zip; of networks it holds the first byte of each four, then the second …: it is smaller."""
    entries, facts = {}, {}
    for name, content in contents.items():
        if name.endswith(".nnet"):
            words = content.ljust(-(-len(content) // 4) * 4)  # readers skip blanks
            content = np.frombuffer(words, np.uint8).reshape(-1, 4).T.tobytes()
        entries[name] = content
        facts[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    provenance = {**system.provenance, **({"rounded": rounded} if rounded else {})}
    manifest = {"format": FORMAT, "kind": system.kind, "provenance": provenance, "parts": facts}
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {MANIFEST: text.encode(), **entries}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def unpack(path: Path, folder: Path) -> TrainedSystem:
    """Unpack a zip of :func:`export`; refuse whatever is not as its manifest says."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(_read(archive, MANIFEST, MAX_TEXT))
            if (version := manifest.get("format")) != FORMAT:
                raise UserError(f"made by another version of the recipe: format {version}, expected {FORMAT}")
            kind, facts = str(manifest["kind"]), manifest["parts"]
            needed = _needed(kind, facts)
            if not needed <= set(facts) or not all(map(FURTHER.fullmatch, set(facts) - needed)):
                raise UserError(f"expected the parts {sorted(needed)}, got {sorted(facts)}")
            if {*archive.namelist()} != {MANIFEST, *facts}:
                raise UserError("it holds other files than its manifest says")
            sizes = {name: fact["bytes"] for name, fact in facts.items()}
            texts = [size for name, size in sizes.items() if not name.endswith((".nnet", ".npz"))]
            most = min(MAX_BYTES, MAX_RATIO * path.stat().st_size)
            if min(sizes.values()) < 0 or sum(sizes.values()) > most or max(texts) > MAX_TEXT:
                raise UserError(f"its parts are larger than {most} bytes together, or a text than {MAX_TEXT}")
            for name, fact in facts.items():
                content = _read(archive, name, fact["bytes"])
                if hashlib.sha256(content).hexdigest() != fact["sha256"]:
                    raise UserError(f"{name} is not what the manifest says; export the system again")
                if zipfile.is_zipfile(file := io.BytesIO(content)):
                    entries = zipfile.ZipFile(file).infolist()
                    if sum(entry.file_size for entry in entries) > len(content):  # could fill the memory
                        raise UserError(f"{name}: its arrays are compressed")
                if name.endswith(".nnet"):
                    content = np.frombuffer(content, np.uint8).reshape(4, -1).T.tobytes()
                (folder / name).write_bytes(content)
        parts = {name: folder / name for name in facts}
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
