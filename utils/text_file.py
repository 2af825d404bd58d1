"""Old names of what is in utils/tables.py, until the last caller has moved."""

from utils.tables import csv_rows
from utils.tables import read_text as read

__all__ = ["csv_rows", "read"]
