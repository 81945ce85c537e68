"""From the scores of flashes to a symbol: sums, posterior probabilities, stopping rules."""

from p300.spelling.calibration import (
    fit_platt,
)
from p300.spelling.language import (
    EVEN_SHARE,
    SPACES,
    CharacterModel,
)
from p300.spelling.posterior import (
    N_BEYOND,
    Belief,
    ScoreLikelihood,
    SymbolPosterior,
    belief_of,
    prior_weights,
)
from p300.spelling.rules import (
    IDLE_SURE,
    NO_SYMBOL,
    RULES,
    ExpectedRate,
    FixedRepetitions,
    PosteriorMargin,
    PosteriorThreshold,
    rule_from_dict,
)
from p300.spelling.sums import (
    accuracy_by_repetition,
    check_flashes,
    spell,
    symbol_scores,
    text_after,
    timing,
    wanted_symbol,
)

__all__ = [
    "Belief",
    "CharacterModel",
    "EVEN_SHARE",
    "ExpectedRate",
    "FixedRepetitions",
    "IDLE_SURE",
    "NO_SYMBOL",
    "N_BEYOND",
    "PosteriorMargin",
    "PosteriorThreshold",
    "RULES",
    "SPACES",
    "ScoreLikelihood",
    "SymbolPosterior",
    "accuracy_by_repetition",
    "belief_of",
    "check_flashes",
    "fit_platt",
    "prior_weights",
    "rule_from_dict",
    "spell",
    "symbol_scores",
    "text_after",
    "timing",
    "wanted_symbol",
]
