"""Trained systems put to use: what one consists of, its single file, and its decision about a track."""
