"""From weights to patterns: where on the scalp the signal of a weighted sum appears.

An electrode may have a large weight because it helps to remove noise, and a small weight where the
P300 is large. Weights (filters) therefore show how a detector works, and patterns show which
signal it uses: S. Haufe et al., "On the interpretation of weight vectors of linear models in
multivariate neuroimaging", NeuroImage 87:96-110, 2014, doi 10.1016/j.neuroimage.2013.10.067.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Epochs whose products are summed at a time; a float64 copy of all would triple the memory.
CHUNK = 512


def haufe_patterns(
    filters: ArrayLike, covariance: ArrayLike, *, jointly: bool = True
) -> np.ndarray:
    """Compute patterns from filters: A = Σ_x W Σ_s⁻¹, one per column as in Haufe et al.

    Parameters
    ----------
    filters : array-like, shape (n_filters, n_chans)
        The transpose of W.
    covariance : array-like, shape (n_chans, n_chans)
        Σ_x, the covariance of the filters' input.
    jointly : bool
        Whether the whole of Σ_s = Wᵀ Σ_x W is inverted. Row ``k`` is then the change of the
        channels per unit of component ``k`` while the other components stay constant. With more
        filters than electrodes Σ_s is singular and its pseudo-inverse is used. Otherwise only
        the diagonal is inverted: the other components vary as they do in the data, as if each
        filter were the only one.

    Returns
    -------
    ndarray, shape (n_filters, n_chans)
        The transpose of A.

    Notes
    -----
    Haufe et al. 2014, theorem 1.

    Examples
    --------
    A source at the first electrode, the same noise at both: the filter removes the noise.

    >>> haufe_patterns([[1.0, -1.0]], [[2.0, 1.0], [1.0, 1.0]])
    array([[1., 0.]])
    """
    filters, covariance = np.asarray(filters, float), np.asarray(covariance, float)
    together = filters @ covariance  # (n_filters, n_chans), the transpose of Σ_x W
    if jointly:
        return np.linalg.pinv(together @ filters.T, hermitian=True) @ together
    power = np.einsum("fc,fc->f", together, filters)[:, np.newaxis]
    return together / np.where(power > 0, power, 1.0)


def channel_covariance(epochs: np.ndarray) -> np.ndarray:
    """Compute the covariance of the channels over all samples and epochs: (n_chans, n_chans)."""
    n_flashes, n_chans, n_times = epochs.shape
    total, products = np.zeros(n_chans), np.zeros((n_chans, n_chans))
    for start in range(0, n_flashes, CHUNK):
        some = np.asarray(epochs[start : start + CHUNK], np.float64)
        some = some.transpose(1, 0, 2).reshape(n_chans, -1)
        total += some.sum(axis=1)
        products += some @ some.T
    mean = total / (n_flashes * n_times)
    return products / (n_flashes * n_times) - np.outer(mean, mean)


def score_pattern(epochs: np.ndarray, scores: ArrayLike) -> np.ndarray:
    """Compute how each electrode and sample varies with a detector's score.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Training epochs, preprocessed as the detector reads them.
    scores : array-like, shape (n_flashes,)
        The detector's score of each epoch.

    Returns
    -------
    ndarray, shape (n_chans, n_times)
        Regression slope of each sample on the score, in the unit of the epochs per unit of
        score. For a linear detector it is the pattern Σ_x w / σ² of Haufe et al. 2014 over all
        electrodes and samples at once; for any other detector it is the best linear
        approximation.
    """
    values = np.asarray(scores, np.float64)
    if values.shape != (len(epochs),):
        raise InputError(f"{values.size} scores for {len(epochs)} epochs; expected one per epoch")
    values = values - values.mean()
    if not values.any():
        raise InputError(f"all {len(values)} scores are equal; expected scores that differ")
    pattern = np.zeros(epochs.shape[1:])
    for start in range(0, len(epochs), CHUNK):
        rows = slice(start, start + CHUNK)
        pattern += np.tensordot(values[rows], np.asarray(epochs[rows], np.float64), axes=1)
    return pattern / (values @ values)
