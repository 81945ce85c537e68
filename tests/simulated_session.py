"""What the tests of live spelling share: a small screen, a detector, and a session of it."""

import numpy as np

from p300.online.events import Decided
from p300.online.playback import events_of, recording_inputs
from p300.online.session import OnlineSpeller
from p300.preprocessing import Preprocessor
from p300.simulation import simulate_recording
from p300.speller import Speller
from p300.spelling import PosteriorThreshold, ScoreLikelihood, SymbolPosterior

RULE = PosteriorThreshold(threshold=0.95, max_repetitions=6)
ABC = Speller.matrix(["AB", "CD"])


class TemplateDetector:
    """Scores an epoch by its product with the mean difference between targets and nontargets."""

    def __init__(self, recording, held_out):
        self.preprocessor = Preprocessor(phase="causal").fit(recording)
        self.speller = recording.speller
        epochs = self.preprocessor.transform(recording)
        is_target = recording.flashes["is_target"].to_numpy(bool)
        self.template = epochs[is_target].mean(axis=0) - epochs[~is_target].mean(axis=0)
        is_target = held_out.flashes["is_target"].to_numpy(bool)
        self.likelihood = ScoreLikelihood.fit(self.score(held_out), is_target)
        self.stopping = {"posterior": RULE}

    def score_epochs(self, epochs):
        # one flash at a time: a product over many may differ from it in the last digit
        return np.array([np.vdot(self.template, epoch) for epoch in epochs], np.float64)

    def score(self, recording):
        return self.score_epochs(self.preprocessor.transform(recording))


def simulate(text="ABCD", seed=1, **options):
    options = {"n_repetitions": 6, "ch_names": ["Fz", "Cz", "Pz", "Oz"]} | options
    return simulate_recording(text, speller=ABC, seed=seed, **options)


RECORDING = simulate()
DETECTOR = TemplateDetector(simulate("DCBADCBA", seed=0), simulate("ABCD" * 4, seed=2))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def spell(inputs, *, ch_names=RECORDING.ch_names, rule=RULE, **options):
    return list(events_of(OnlineSpeller(DETECTOR, ch_names, rule=rule, **options), inputs))


def decide_offline(recording, rule=RULE):
    """Read a recording by its flash table: symbol and number of flashes of every character."""
    ratios = DETECTOR.likelihood.log_ratio(DETECTOR.score(recording))
    decided = []
    for _, rows in recording.flashes.groupby(["run", "character"]):
        posterior = SymbolPosterior(recording.speller)
        for k, (i, row) in enumerate(rows.iterrows(), start=1):
            posterior.update(row["code"], ratios[i])
            n_done, left = divmod(k, len(recording.speller.codes))
            if symbol := rule.decide(posterior, n_done, not left):
                break
        decided.append((symbol, posterior.n_flashes))
    return decided


EXPECTED = [(d.symbol, d.n_flashes) for d in of(Decided, spell(recording_inputs(RECORDING)))]
