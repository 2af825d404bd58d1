"""``kaldi_io`` without its side effects at import.

``kaldi_io`` warns on stderr when ``KALDI_ROOT`` is missing, runs a shell to build a search path, and
puts that path before the user's. Here the import sees an existing root and ``PATH`` is put back.
"""

from __future__ import annotations

import os
import warnings
from types import ModuleType


def _import() -> ModuleType:
    saved = {name: os.environ.get(name) for name in ("KALDI_ROOT", "PATH")}
    os.environ["KALDI_ROOT"] = os.sep
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import kaldi_io
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return kaldi_io


kaldi_io = _import()
