"""The embedded corpus: six genres of music composed by rules and played by synthesised instruments.

Reading order: ``plan`` (which tracks, by whom, in which format), ``artists`` (what an artist fixes),
``theory`` and ``composition`` (harmony, melody, rhythm), ``style_*`` (one composer a genre), ``strings``,
``tones`` and ``drums`` (instruments), ``mixing`` (a score becomes stereo sound), ``tracks`` (files).

Everything follows from one integer seed; see ``rng``.
"""
