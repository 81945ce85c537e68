"""Draw the README's picture: P300_DATA_ROOT=… python docs/pictures/eeg_to_letter.py RUN.

RUN is a run of `p300 train data=bci2_iib`; the letter is the first of its test session.
"""

import os
import sys
from pathlib import Path

from p300.detector import Detector
from p300.figures import draw_letter
from p300.preprocessing import Preprocessor
from p300.readers import bci2_iib

runs = ["AAS012R03", "AAS012R04"]
recording = bci2_iib.read(Path(os.environ["P300_DATA_ROOT"]) / "bci2_iib", runs)
scores = Detector.load(sys.argv[1]).score(recording)
epochs = Preprocessor(scaling="center").fit(recording).epochs(recording)
figure = draw_letter(recording, epochs, scores, character=0, channel="Cz", n_repetitions=5)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=150)
print(figure.get_label())
