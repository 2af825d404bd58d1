"""Counting and comparing: votes, segment features, linear SVMs and the statistics of their accuracies."""
