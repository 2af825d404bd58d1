"""The five published systems that the paper compares itself with, on any data directory: a module each.

``registry`` finds them by name. In every docstring [P] marks what the publication states, [S] what a second
source states and [O] our own choice where nothing was found.
"""
