"""Classifiers of whole tracks: shrinkage LDA on pieces of frames, calibration, and their sum."""
