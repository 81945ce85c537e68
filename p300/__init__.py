"""Detect the P300 wave in EEG and spell with it.

A person looks at a matrix of symbols whose rows and columns flash; the flash of the wanted
row and column evokes a P300, a positive wave about 300 ms later. This package reads such
recordings, preprocesses them, trains detectors (the convolutional networks of Cecotti &
Graeser 2011 and their rivals) and turns their scores into text.

Read in this order: :mod:`p300.speller` (the screen), :mod:`p300.recording` (signal and flash
table), :mod:`p300.readers` and :mod:`p300.simulation` (where recordings come from),
:mod:`p300.preprocessing`, :mod:`p300.splits`, :mod:`p300.models`, :mod:`p300.detector`,
:mod:`p300.spelling`, :mod:`p300.metrics`, :mod:`p300.evidence` and :mod:`p300.stopping` (when a
symbol is sure enough), and last the commands, :mod:`p300.train` first; live spelling is
:mod:`p300.export` and then :mod:`p300.online`. Importing this module imports none of them.
"""

__version__ = "0.1.0"
