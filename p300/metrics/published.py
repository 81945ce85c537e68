"""Published results for BCI Competition III data set II, to compare with measured ones.

Sources: Cecotti & Graeser 2011 (doi 10.1109/TPAMI.2010.125), tables 2, 3 and 5; Rakotomamonjy
& Guigue 2008 (doi 10.1109/TBME.2008.915728), the competition's winner; Shan et al. 2018
(OCLNN). The series were collected by the repository wzhcoder/SOTA-of-P300-Detection-in-BCI-
Competitions-II-III; the paper's own tables are images. Rows that could not be recovered are
missing.
"""

from __future__ import annotations

#: Characters read correctly, in %, after 1 … 15 repetitions.
CHARACTERS = {
    ("cnn1", "A"): [16, 33, 47, 52, 61, 65, 77, 78, 85, 86, 90, 91, 91, 93, 97],
    ("cnn1", "B"): [35, 52, 59, 68, 79, 81, 82, 89, 92, 91, 91, 90, 91, 92, 92],
    ("mcnn1", "A"): [18, 31, 50, 54, 61, 68, 76, 76, 79, 82, 89, 92, 91, 93, 97],
    ("mcnn1", "B"): [39, 55, 62, 64, 77, 79, 86, 92, 91, 92, 95, 95, 95, 94, 94],
    ("OCLNN (Shan 2018)", "A"): [23, 39, 56, 63, 73, 79, 82, 85, 90, 91, 94, 95, 95, 96, 99],
    ("OCLNN (Shan 2018)", "B"): [46, 62, 72, 79, 84, 87, 89, 93, 94, 96, 97, 97, 97, 98, 98],
}

#: The competition's winner at 5, 10 and 15 repetitions.
WINNER = {"A": {5: 72, 10: 83, 15: 97}, "B": {5: 75, 10: 91, 15: 96}}

#: Single flashes: true and false positives and negatives among 18,000.
DETECTION = {
    ("cnn1", "A"): {"tp": 2021, "tn": 10645, "fp": 4355, "fn": 979},
    ("mcnn1", "A"): {"tp": 2071, "tn": 10348, "fp": 4652, "fn": 929},
    ("cnn1", "B"): {"tp": 2035, "tn": 12039, "fp": 2961, "fn": 965},
    ("mcnn1", "B"): {"tp": 2202, "tn": 11453, "fp": 3547, "fn": 798},
}

#: Electrodes that CNN-2b chose for both subjects (section 5.2); the other three are not known.
CNN2B_SHARED = ("PZ", "CZ", "CPZ", "PO7", "PO8")
