import numpy as np
import pytest
import torch

from p300.export.matrix_logarithm import MatrixLogarithm


@pytest.mark.parametrize("ratio", [1.5, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("loudness", [1e-12, 1.0, 1e12])
def test_the_logarithm_of_a_covariance_has_the_logarithms_of_its_eigenvalues(ratio, loudness):
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(20, 16, 16)))[0]
    powers = rng.uniform(-np.log(ratio), 0, size=(20, 16))
    powers[:, 0], powers[:, 1] = 0, -np.log(ratio)
    covariances = loudness * (vectors * np.exp(powers)[:, None]) @ vectors.mT
    logarithm = MatrixLogarithm(1 / ratio / 16)(torch.as_tensor(covariances)).numpy()
    wanted = (vectors * (powers + np.log(loudness))[:, None]) @ vectors.mT
    assert np.allclose(logarithm, wanted, rtol=0, atol=1e-11 + 1e-16 * ratio)


def test_a_unit_matrix_has_the_logarithm_0():
    logarithm = MatrixLogarithm(0.01)(torch.eye(8, dtype=torch.float64)[None])
    assert np.allclose(logarithm, 0, atol=1e-12)
