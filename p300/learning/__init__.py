"""Learning while spelling: a detector that gets better by the characters it decides.

No label is read: what a character wanted is known only by the probabilities of the symbols. Each
score is computed before its character is learned from.
"""

from p300.learning.files import read_source, write_source
from p300.learning.learner import Learner, LearningSettings
from p300.learning.linear import usual_basis
from p300.learning.session import SessionScores, lit_by, spell_and_learn
from p300.learning.source import Source
from p300.learning.sums import EpochSums
from p300.learning.unsupervised import FromNothing, MeanDifference

__all__ = [
    "EpochSums",
    "FromNothing",
    "Learner",
    "LearningSettings",
    "MeanDifference",
    "SessionScores",
    "Source",
    "lit_by",
    "read_source",
    "spell_and_learn",
    "usual_basis",
    "write_source",
]
