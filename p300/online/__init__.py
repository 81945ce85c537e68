"""``p300 online``: spell from a live stream of EEG and a stream of markers.

The files, in the order to read them: :mod:`~p300.online.markers` (what a speller sends),
:mod:`~p300.online.characters` (which flash belongs to which character),
:mod:`~p300.preprocessing._engine.clock` (when each sample was taken),
:mod:`~p300.online.streams.gaps` (where samples are missing), :mod:`~p300.online.session` (samples
and markers in, decisions out; no network and no clock of its own),
:mod:`~p300.online.supervisor` (what must stay true meanwhile), :mod:`~p300.online.journal` (what
is written to disk), :mod:`~p300.online.streams.listener` (two streams of Lab Streaming Layer, each
watched for itself) and :mod:`~p300.online.live`.

Neither PyTorch nor Lightning is imported anywhere below: scores come from an exported detector
(:mod:`p300.export.onnx_detector`), or from nothing (:mod:`p300.online.from_nothing`).
"""
