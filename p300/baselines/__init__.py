"""The classical detectors, scikit-learn API, on epochs of shape (n_flashes, n_chans, n_times).

Each has ``fit(X, y)``, ``decision_function(X)`` (one score per flash, larger = more target-like)
and ``get_state()`` / ``from_state()``, which hold the learned values as plain arrays.
"""

from p300.baselines.lda import ShrinkageLDA
from p300.baselines.ridge import GaussianProcessRidge
from p300.baselines.riemann import ERPCovMDM, XdawnTangentSpace
from p300.baselines.sklearn_estimator import SklearnDetector
from p300.baselines.sparse_coding import SparseCodingLDA
from p300.baselines.svm import LinearSVM
from p300.baselines.svm_ensemble import SVMEnsemble
from p300.baselines.swlda import SWLDA
from p300.baselines.untrained import Untrained
from p300.baselines.xdawn import XdawnLDA

__all__ = [
    "ShrinkageLDA",
    "GaussianProcessRidge",
    "SWLDA",
    "XdawnLDA",
    "XdawnTangentSpace",
    "ERPCovMDM",
    "LinearSVM",
    "SVMEnsemble",
    "SparseCodingLDA",
    "SklearnDetector",
    "Untrained",
]
