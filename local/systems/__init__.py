"""The five systems that the paper compares itself with, run on the recipe's data directories."""
