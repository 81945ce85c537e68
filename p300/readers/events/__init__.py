"""From the events of a recording to its flashes.

Where they are marked (:mod:`~p300.readers.events.sources`), what their labels mean
(:mod:`~p300.readers.events.labels`), which character and repetition each belongs to
(:mod:`~p300.readers.events.numbering`), and the flash table (:mod:`~p300.readers.events.build`).
"""
