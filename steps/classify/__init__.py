"""Trained systems as one file, and what they say about new recordings."""
