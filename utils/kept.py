"""What a program made before it was interrupted: valid under the key that it was made with, and no other.

The key comes from utils/once.py and stands for command line, code and inputs. It lies beside the piece, in
``<piece>.key``, and is written after it; the driver removes it when all pieces are joined.
"""

from pathlib import Path

from utils import atomic


def is_kept(piece: str | Path, key: str) -> bool:
    """Tell whether a piece is there and was made under this key; an empty key keeps nothing."""
    try:
        return bool(key) and Path(piece).exists() and Path(f"{piece}.key").read_text(encoding="utf-8") == key
    except (OSError, UnicodeDecodeError):
        return False


def begin(piece: str | Path) -> None:
    """Forget the key of a piece that is to be made again."""
    Path(f"{piece}.key").unlink(missing_ok=True)


def keep(piece: str | Path, key: str) -> None:
    """Record that a piece is complete."""
    if key:
        with atomic.replacing(Path(f"{piece}.key")) as file:
            file.write(key)
