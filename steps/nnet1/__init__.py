"""Kaldi's nnet1 in Python: networks, their files, their updates and the tools around them."""
