"""From the scores of flashes to a symbol: sums, posterior probabilities, stopping rules."""

from p300.spelling.calibration import fit_platt
from p300.spelling.language import CharacterModel
from p300.spelling.letters import letter_scorer
from p300.spelling.next_group import BackspaceLearner, choice_probabilities, choose_group
from p300.spelling.pace import timing
from p300.spelling.posterior import ScoreLikelihood, SymbolPosterior
from p300.spelling.rules import PosteriorThreshold, rule_from_dict
from p300.spelling.sums import (
    accuracy_by_repetition,
    estimate_likelihood,
    spell,
    text_after,
    wanted_symbol,
)

__all__ = [
    "BackspaceLearner",
    "CharacterModel",
    "PosteriorThreshold",
    "ScoreLikelihood",
    "SymbolPosterior",
    "accuracy_by_repetition",
    "choice_probabilities",
    "choose_group",
    "estimate_likelihood",
    "fit_platt",
    "letter_scorer",
    "rule_from_dict",
    "spell",
    "text_after",
    "timing",
    "wanted_symbol",
]
