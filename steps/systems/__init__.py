"""The five published systems that the paper compares itself with, on any data directory.

A module a system, each with what it computes from audio and how it decides: ``lee2009``, ``son2008``,
``hol2008``, ``leo2012``, ``sig2014``. They stand on ``spectra`` (frames, bands, mel filters) and ``tracks``;
``registry`` finds them by name. In every docstring [P] marks what the publication states, [S] what a second
source states and [O] our own choice where nothing was found.
"""
