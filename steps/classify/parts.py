"""What a trained system consists of: the files behind an experiment, and one zip with all of them.

A system is one of these kinds, each with the parts that it needs and no others:

* ``network``: frame posteriors, by vote or mean;
* ``svm``: a linear SVM on f_sc, or (with the network's parts) on f_lstm or f_fusion;
* ``best``: LDAs on pieces of the frames of one or more scattering configurations, and networks that it chose;
* ``lee2009``, ``son2008``, ``hol2008``, ``leo2012``, ``sig2014``: the systems of :mod:`steps.systems`.

All have ``audio.conf``, how recordings become samples, and ``genres.txt``. The zip holds the parts and
``manifest.json`` with kind, format, sizes, checksums and provenance: no code, no pickle. Nothing in it is
believed before size and checksum are right, and nothing else is unpacked. Where the weights of networks would
make it too large, ``<network>.rounded`` holds them (:mod:`steps.classify.rounding`) and provenance says so.
"""

import hashlib
import io
import json
import math
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from steps.classifiers.model import read_ensemble
from steps.systems import registry
from utils import atomic
from utils.cli import UserError
from utils.provenance import read_record
from utils.tables import read_classes

FORMAT = 1
MANIFEST = "manifest.json"
ROUNDED = ".rounded"
MAX_MEGABYTES = 40.0
BITS = (12, 10, 8, 6)
"""Of a rounded weight: as many as make the zip small enough."""
MAX_BYTES = 1 << 30
"""No part is larger; a manifest, which is read before its size is believed, is below a thousandth of it."""
COMMON = ("audio.conf", "genres.txt")
FRAMES = ("scattering.conf",)
NETWORK = ("feature_transform.nnet", "final_test.nnet")
FURTHER = re.compile(r"scattering\w+\.conf|network_\w+\.nnet|feature_transform\.nnet", re.ASCII)
"""Of ``best``: further scales of frames, the networks that take part, and their transform."""


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


def needed(kind: str, parts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parts that a system of this kind has.

    ``parts`` tells an SVM with a network, the networks of ``best``, and rounded weights.

    Raises
    ------
    UserError
        For a kind that this version does not know.
    """
    names = _needed(kind, parts)
    return (*names, *(name + ROUNDED for name in names if _has_weights(name) and name + ROUNDED in parts))


def _has_weights(name: str) -> bool:
    return name == NETWORK[1] or name.startswith("network_") and name.endswith(".nnet")


def _needed(kind: str, parts: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "network":
        return (*COMMON, *FRAMES, *NETWORK)
    if kind == "svm":
        with_network = NETWORK if "final_test.nnet" in parts else ()
        return (*COMMON, *FRAMES, *with_network, "svm.npz")
    if kind == "best":
        return (*COMMON, *FRAMES, "best.npz", *sorted(name for name in parts if FURTHER.fullmatch(name)))
    if kind in registry.NAMES:
        return (*COMMON, "system.conf", "model.npz", *(("network.npz",) if kind == "sig2014" else ()))
    raise UserError(f"a system of kind '{kind}' is not known here; it needs another version of the recipe")


def collect(exp_dir: Path, data_dir: Path | None = None) -> TrainedSystem:
    """Find the parts of a trained experiment; ``data_dir`` is found by its name if it is left out."""
    is_svm = (exp_dir / "svm.npz").is_file()
    home = exp_dir.resolve().parent if is_svm else exp_dir
    data = data_dir or find_data(home)
    parts = {
        "audio.conf": data / "train" / "audio.conf",
        "genres.txt": data / "train" / "genres.txt",
        "scattering.conf": data / "train" / "scattering.conf",
        "feature_transform.nnet": data / "cmvn" / "feature_transform.nnet",
        "final_test.nnet": home / "final_test.nnet",
        "svm.npz": exp_dir / "svm.npz",
        "system.conf": exp_dir / "system.conf",
        "model.npz": exp_dir / "model.npz",
        "network.npz": exp_dir / "network.npz",
        "best.npz": exp_dir / "best.npz",
    }
    if parts["best.npz"].is_file():
        parts = {name: parts[name] for name in (*COMMON, *FRAMES, "best.npz")} | _parts_of_best(home, data)
    found = {name: path for name, path in parts.items() if path.is_file()}
    provenance = read_record(home)
    if is_svm:
        kind = "svm"
    elif "best.npz" in found:
        kind = "best"
    elif "final_test.nnet" in found:
        kind = "network"
    elif "model.npz" in found:
        kind = str(provenance.get("system"))
    else:
        raise UserError(
            f"{exp_dir}: no trained system (final_test.nnet, svm.npz or model.npz); train it first"
        )
    names = needed(kind, parts if kind == "best" else found)
    for name in names:
        if name not in found:
            raise UserError(f"{parts[name]}: no such file, which {exp_dir} needs; run the stages before")
    facts = {key: provenance[key] for key in ("commit", "seed") if key in provenance}
    return TrainedSystem(kind, {name: found[name] for name in names}, {"experiment": str(exp_dir), **facts})


def _parts_of_best(exp_dir: Path, data: Path) -> dict[str, Path]:
    """Return the configurations of all frames that ``best`` reads, and the networks that take part."""
    found = {}
    for member in read_ensemble(exp_dir / "best.npz").members:
        if member.network:
            found["feature_transform.nnet"] = data / "cmvn" / "feature_transform.nnet"
            home = exp_dir.with_name(exp_dir.name.removesuffix("best") + member.network)
            found[f"network_{member.network}.nnet"] = home / "final_test.nnet"
        elif member.part:
            name = f"scattering{member.part.feats.removeprefix('feats')}.conf"
            found[name] = data / "train" / name
    return found


def find_data(exp_dir: Path) -> Path:
    """Return ``data/<corpus>`` of ``exp/<corpus>_<model>``, the longest name that fits."""
    here = exp_dir.resolve()
    words = here.name.split("_")
    for length in range(len(words) - 1, 0, -1):
        data = here.parent.parent / "data" / "_".join(words[:length])
        if (data / "train").is_dir():
            return data
    raise UserError(f"{exp_dir}: no folder of data/ belongs to it by its name; give --data DIR")


def export(
    system: TrainedSystem, path: Path, *, exact: bool = False, max_megabytes: float = MAX_MEGABYTES
) -> str:
    """Write a system into one zip, the same bytes for the same system; return what was rounded, if anything.

    Weights of networks are rounded until it is smaller than ``max_megabytes``, unless ``exact``.
    """
    contents = {name: source.read_bytes() for name, source in sorted(system.parts.items())}
    networks = [name for name in contents if _has_weights(name)]
    with atomic.replacing(path, "wb") as file:
        for bits in (0, *(BITS if networks and not exact else ())):
            rounded = ""
            if bits:
                rounded = f"weights of {', '.join(networks)} rounded to {bits} bits"
                contents |= _rounded(system, networks, bits)
            file.seek(0)
            file.truncate()
            _write(file, system, contents, rounded)
            if exact or file.tell() < 1e6 * max_megabytes:
                return rounded
        raise UserError(
            f"{path}: {file.tell() / 1e6:.1f} MB, expected less than {max_megabytes:g}; "
            "give --exact true, or a larger --max-megabytes"
        )


def _rounded(system: TrainedSystem, networks: list[str], bits: int) -> dict[str, bytes]:
    """Return networks without weights, and these rounded."""
    from steps.classify import rounding

    found = {}
    with tempfile.TemporaryDirectory(prefix="export-") as folder:
        for name in networks:
            empty = Path(folder) / name
            found[name + ROUNDED] = rounding.take_out(system.parts[name], bits, empty)
            found[name] = empty.read_bytes()
    return found


def _write(file: IO[bytes], system: TrainedSystem, contents: Mapping[str, bytes], rounded: str) -> None:
    manifest = {
        "format": FORMAT,
        "kind": system.kind,
        "classes": list(system.classes),
        "provenance": dict(system.provenance) | ({"rounded": rounded} if rounded else {}),
        "parts": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in {MANIFEST: text.encode(), **contents}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


def unpack(path: Path, folder: Path) -> TrainedSystem:
    """Unpack a zip of :func:`export`; refuse whatever is not as its manifest says."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(_read(archive, MANIFEST, MAX_BYTES // 1024, path))
            kind, facts = _check_manifest(manifest, archive.namelist(), path)
            for name, fact in facts.items():
                content = _read(archive, name, fact["bytes"], path)
                if len(content) != fact["bytes"] or hashlib.sha256(content).hexdigest() != fact["sha256"]:
                    raise UserError(f"{path}: {name} is not what the manifest says; export the system again")
                if name.endswith(".npz"):
                    _check_npz(name, content)
                (folder / name).write_bytes(content)
            for name in [name for name in facts if name.endswith(ROUNDED)]:
                _put_back(folder / name)
                del facts[name]
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path}: not a system of export_system.sh ({error})") from error
    return TrainedSystem(kind, {name: folder / name for name in facts}, dict(manifest["provenance"]))


def _put_back(planes: Path) -> None:
    from steps.classify import rounding

    rounding.put_back(planes.with_suffix(""), planes.read_bytes())
    planes.unlink()


def _check_npz(name: str, content: bytes) -> None:
    """Refuse arrays that are compressed, or that promise more than is there: they could fill the memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as arrays:
            for info in arrays.infolist():
                with arrays.open(info) as entry:
                    if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
                        raise ValueError(f"{info.filename} is compressed")
                    if np.lib.format.read_magic(entry) != (1, 0):
                        raise ValueError(f"{info.filename} is no array of npy format 1.0")
                    shape, _, dtype = np.lib.format.read_array_header_1_0(entry)
                    if math.prod(shape) * dtype.itemsize != info.file_size - entry.tell():
                        raise ValueError(f"{info.filename} is not of its shape {shape}")
    except Exception as error:  # noqa: BLE001 (zip, tokenizer and value errors of many kinds)
        raise ValueError(f"{name}: {error}") from error


def _read(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    """Read at most ``limit`` bytes of an entry, whatever its header says of its size."""
    try:
        with archive.open(name) as entry:
            content = entry.read(limit + 1)
    except KeyError:
        raise UserError(f"{path}: there is no {name} in it") from None
    if len(content) > limit:
        raise UserError(f"{path}: {name} is larger than the manifest says")
    return content


def _check_manifest(manifest: Any, names: list[str], path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return kind and parts of a manifest whose entries are those of the zip."""
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise UserError(f"{path}: made by another version of the recipe: format {version}, expected {FORMAT}")
    try:
        kind, facts = str(manifest["kind"]), {str(k): dict(v) for k, v in manifest["parts"].items()}
        sizes = [int(fact["bytes"]) for fact in facts.values()]
        manifest["provenance"].keys()
        if any(not isinstance(fact["sha256"], str) for fact in facts.values()):
            raise TypeError("a checksum is no text")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: {MANIFEST} is not complete ({error})") from error
    if sorted(facts) != sorted(needed(kind, facts)):
        raise UserError(f"{path}: expected the parts {sorted(needed(kind, facts))}, got {sorted(facts)}")
    if sorted(names) != sorted([MANIFEST, *facts]):
        raise UserError(f"{path}: holds other files than its manifest says")
    if min(sizes) < 0 or sum(sizes) > MAX_BYTES:
        raise UserError(f"{path}: its parts are larger than {MAX_BYTES} bytes together")
    return kind, facts
