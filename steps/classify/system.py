"""A trained system as a folder or a zip: manifest.json and the parts that it names, with their checksums.

The manifest says the format's version, the kind (``network``), the classes, the scattering and audio
settings, where it comes from, and for each part its bytes and SHA-256. No part is code and none is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steps.audio import Conversion
from steps.scattering.config import Config
from utils import atomic
from utils.cli import UserError

FORMAT = 1
MANIFEST = "manifest.json"
MOST_BYTES = 200_000_000  # of a system unpacked; the largest is a fifth of that
PARTS = {"network": ("final_test.nnet", "feature_transform.nnet", "svm_lstm.npz", "svm_fusion.npz")}
"""The parts that a system of each kind may have."""
NEEDED = {"network": 2}
"""How many of them, from the first, it must have."""


@dataclass(frozen=True)
class System:
    """A system that was read: what its manifest says, and its parts by name."""

    kind: str
    classes: tuple[str, ...]
    scattering: Config
    audio: Conversion
    provenance: dict[str, Any]
    parts: dict[str, bytes]


def write_zip(path: Path, system: System) -> None:
    """Write a system; the same system gives the same bytes."""
    manifest = {
        "format": FORMAT,
        "kind": system.kind,
        "classes": system.classes,
        "scattering": asdict(system.scattering),
        "audio": asdict(system.audio),
        "provenance": system.provenance,
        "parts": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in system.parts.items()
        },
    }
    text = json.dumps(manifest, indent=1, sort_keys=True).encode()
    with atomic.replacing(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in [(MANIFEST, text), *sorted(system.parts.items())]:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def read_zip(path: Path) -> System:
    """Read a system and check all of it.

    Raises
    ------
    UserError
        If it is damaged, of another version, or holds anything but the parts that its manifest names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if MANIFEST not in names or len(set(names)) != len(names):
                raise UserError(f"{path}: no system of local/export_system.sh: no single {MANIFEST}")
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise UserError(f"{path}: would unpack to more than {MOST_BYTES:,} bytes; refused")
            data = {member.filename: _read(archive, member) for member in members}
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot read the system ({error}); export it again") from error
    return _check(path, data)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(member.file_size + 1)


def _check(path: Path, data: dict[str, bytes]) -> System:
    try:
        manifest = json.loads(data.pop(MANIFEST))
        version = manifest["format"]
        if version != FORMAT:
            raise UserError(f"{path}: of format {version}; this version of the recipe reads {FORMAT}")
        kind, parts = manifest["kind"], manifest["parts"]
        if kind not in PARTS:
            raise UserError(f"{path}: a system of the unknown kind '{kind}'; known: {' '.join(PARTS)}")
        needed = set(PARTS[kind][: NEEDED[kind]])
        if set(parts) != set(data) or not needed <= set(parts) <= set(PARTS[kind]):
            raise UserError(f"{path}: its parts {' '.join(sorted(data))} are not those of its manifest")
        for name, content in data.items():
            if hashlib.sha256(content).hexdigest() != parts[name]["sha256"]:
                raise UserError(f"{path}: {name} is damaged: its checksum differs; export the system again")
        settings = dict(manifest["scattering"])
        settings["Q"] = tuple((int(first), int(second)) for first, second in settings["Q"])
        classes = tuple(str(name) for name in manifest["classes"])
        audio = Conversion(**manifest["audio"])
        return System(kind, classes, Config(**settings), audio, dict(manifest["provenance"]), data)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: its {MANIFEST} is damaged ({error!r}); export the system again") from error
