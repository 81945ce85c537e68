"""From weights to patterns: where on the scalp the thing shows that a weighted sum picks up.

An electrode may have a large weight because it helps to take noise away, and none where the P300
is large. Weights (filters) therefore say how a detector works, patterns what it looks at: S. Haufe
et al., "On the interpretation of weight vectors of linear models in multivariate neuroimaging",
NeuroImage 87:96-110, 2014, doi 10.1016/j.neuroimage.2013.10.067.
"""

from __future__ import annotations

import numpy as np

from p300.errors import InputError

#: Epochs whose products are summed at a time; a float64 copy of all would triple the memory.
CHUNK = 512


def haufe_patterns(filters, covariance, *, jointly: bool = True) -> np.ndarray:
    """Turn filters into patterns: A = Σ_x W Σ_s⁻¹, in columns as Haufe et al. write them.

    Parameters
    ----------
    filters : array-like, shape (n_filters, n_chans)
        The transpose of W.
    covariance : array-like, shape (n_chans, n_chans)
        Σ_x, of what the filters read.
    jointly : bool
        Whether Σ_s = Wᵀ Σ_x W is taken whole: row ``k`` is what one more unit of component
        ``k`` goes along with while the others stay. With more filters than electrodes Σ_s is
        singular and its pseudo-inverse is taken. Otherwise its diagonal alone: the others go
        along as they do in the data, as if each filter were the only one.

    Returns
    -------
    ndarray, shape (n_filters, n_chans)
        The transpose of A.

    Notes
    -----
    Haufe et al. 2014, theorem 1.

    Examples
    --------
    A source at the first electrode, the same noise at both: the filter takes the noise away.

    >>> haufe_patterns([[1.0, -1.0]], [[2.0, 1.0], [1.0, 1.0]])
    array([[1., 0.]])
    """
    filters, covariance = np.asarray(filters, float), np.asarray(covariance, float)
    together = filters @ covariance  # (n_filters, n_chans), the transpose of Σ_x W
    if jointly:
        return np.linalg.pinv(together @ filters.T, hermitian=True) @ together
    power = np.einsum("fc,fc->f", together, filters)[:, np.newaxis]
    return together / np.where(power > 0, power, 1.0)


def channel_covariance(epochs) -> np.ndarray:
    """Give the covariance of the channels over all samples of all epochs: (n_chans, n_chans)."""
    n_flashes, n_chans, n_times = epochs.shape
    total, products = np.zeros(n_chans), np.zeros((n_chans, n_chans))
    for start in range(0, n_flashes, CHUNK):
        some = np.asarray(epochs[start : start + CHUNK], np.float64)
        some = some.transpose(1, 0, 2).reshape(n_chans, -1)
        total += some.sum(axis=1)
        products += some @ some.T
    mean = total / (n_flashes * n_times)
    return products / (n_flashes * n_times) - np.outer(mean, mean)


def score_pattern(epochs: np.ndarray, scores) -> np.ndarray:
    """Give how each electrode and sample goes along with a detector's score.

    Parameters
    ----------
    epochs : ndarray, shape (n_flashes, n_chans, n_times)
        Training epochs, preprocessed as the detector reads them.
    scores : array-like, shape (n_flashes,)
        Its scores of them.

    Returns
    -------
    ndarray, shape (n_chans, n_times)
        Slope of each sample on the score, in the unit of the epochs per unit of score. Of a
        linear detector it is the pattern Σ_x w / σ² of Haufe et al. 2014 over all
        electrodes and samples at once; of any other its best linear account.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape != (len(epochs),):
        raise InputError(f"{scores.size} scores for {len(epochs)} epochs; expected one each")
    scores = scores - scores.mean()
    if not scores.any():
        raise InputError(f"all {len(scores)} scores are equal; expected some spread")
    pattern = np.zeros(epochs.shape[1:])
    for start in range(0, len(epochs), CHUNK):
        rows = slice(start, start + CHUNK)
        pattern += np.tensordot(scores[rows], np.asarray(epochs[rows], np.float64), axes=1)
    return pattern / (scores @ scores)
