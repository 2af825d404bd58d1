"""Kaldi archives and script files: the one place where they are read and written.

Stands on ``kaldi_io`` and adds what a recipe needs: streaming with byte offsets in every error,
duplicate keys and truncated files refused, dimensions checked before memory is taken, commands run
only on request and their failure noticed, and files that appear whole or not at all.
"""

from steps.archive.compressed import as_compressed
from steps.archive.objects import Posterior
from steps.archive.reader import RandomReader, read_matrices, read_matrix_file, read_objects, read_vectors
from steps.archive.specifiers import ArchiveError, open_input, parse_rspecifier, parse_wspecifier
from steps.archive.writer import Writer, write_matrix_file

__all__ = [
    "ArchiveError",
    "Posterior",
    "RandomReader",
    "Writer",
    "as_compressed",
    "open_input",
    "parse_rspecifier",
    "parse_wspecifier",
    "read_matrices",
    "read_matrix_file",
    "read_objects",
    "read_vectors",
    "write_matrix_file",
]
