"""Labels of recorders and of file formats that have a fixed meaning: marks, breaks, numbers."""

from __future__ import annotations

import re

#: Labels that recorders and MNE write and that are no flashes.
MARK = re.compile(
    r"comment|response|keypress|key press|button"
    r"|recording (starts|ends|start|end)|start recording|stop recording|impedance|time 0"
    r"|sync ?status|dc correction|pulse artifact",
    re.IGNORECASE,
)

#: GDF's number of a new segment after a break (0x7FFE).
#: Source: https://biosig.sourceforge.net
GDF_BREAK = 0x7FFE

#: Labels at which the signal is not continuous in time: MNE, EEGLAB, BrainVision, GDF, others.
BREAK = re.compile(
    r"edge|bad[ _]?boundary|bad_acq_skip|boundary|new ?segment|buffer overflow|lost ?samples"
    r"|(data |signal )?(discontinuity|discontinuous|gap)\b|data loss"
    rf"|(recording|acquisition) (paused|pause|resumed|interrupted)|{GDF_BREAK}$|0x7ffe$",
    re.IGNORECASE,
)

#: EEGLAB's label of a seam; its duration is that of the data that were cut out there.
#: Source: https://github.com/sccn/eeglab, functions/popfunc/eeg_urlatency.m
SEAM = re.compile(r"boundary", re.IGNORECASE)

#: Numbers of GDF that are no flashes: start and end of a trial, feedback, the beep and the cross
#: before it, a rejected trial, eyes open, closed and moving.
#: Source: BCI Competition IV, data sets 2a and 2b, and OpenViBE's list of stimulations (below)
GDF_MARKS = {0x0300, 0x0320, 0x030D, 0x0311, 0x0312, 0x03FF, 0x0114, 0x0115, 0x0430, GDF_BREAK}

#: OpenViBE's stimulation identifiers: a class, and the first and last of 32 codes ("Label_00").
#: Source: its list of stimulations, http://openvibe.inria.fr/stimulation-codes/
OPENVIBE_TARGET, OPENVIBE_NONTARGET = 0x8205, 0x8206
OPENVIBE_LABELS = range(0x8100, 0x8120)
OPENVIBE_NAME = re.compile(r"(?:ovtk_stimulationid_)?label_([0-9a-f]{2})", re.IGNORECASE)
OPENVIBE_PREFIX = re.compile(r"ovtk_(stimulationid_|gdf_)?", re.IGNORECASE)
