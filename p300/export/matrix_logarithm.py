"""The logarithm of positive definite matrices from matrix products alone.

ONNX has neither eigenvalues nor inverses. Square roots bring the eigenvalues close to each other,
a polynomial approximates the logarithm of the last root, and as many doublings undo the roots:
inverse scaling and squaring, N. J. Higham, "Functions of Matrices", SIAM, 2008, chapters 6 and 11.

Two rules keep sixteen digits instead of seven. PyTorch's exporter rounds Python's numbers to
float32, so all factors are tensors (:func:`number`). And onnxruntime merges a constant factor into
a matrix product next to it, as float32, so no factor is directly before or after a product.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.polynomial import Chebyshev, Polynomial
from torch import Tensor, nn


def number(value: float) -> Tensor:
    """Return a number as a tensor, which the exporter does not round."""
    return torch.tensor(value, dtype=torch.float64)


class MatrixLogarithm(nn.Module):
    """Logarithms of symmetric positive definite matrices in float64.

    The number of steps depends only on ``smallest``, so the graph has no loop.

    Parameters
    ----------
    smallest : float
        No eigenvalue may be below this fraction of the trace of its matrix.

    Notes
    -----
    Rounding errors are those of a logarithm by eigenvalues: 5e-11 where the largest eigenvalue
    is 1e6 times the smallest, 2e-8 where it is 1e9 times.

    Examples
    --------
    >>> powers = torch.tensor([-9.0, 0.0, 4.0], dtype=torch.float64)
    >>> logarithm = MatrixLogarithm(smallest=1e-6)(torch.diag(powers.exp())[None])
    >>> bool(np.allclose(logarithm[0].diagonal(), powers, atol=1e-9))
    True
    """

    def __init__(self, smallest: float):
        super().__init__()
        self.roots: list[list[tuple[float, float]]] = []  # the steps of each square root
        while smallest < 0.4:
            smallest **= 0.5
            self.roots.append(newton_schulz_steps(smallest))
        self.middle, reach = (1 + smallest) / 2, (1 - smallest) / 2
        series = Chebyshev.interpolate(lambda u: np.log(self.middle + reach * u), deg=15)
        coefficients = np.asarray(series.convert(kind=Polynomial).coef, np.float64)
        self.coefficients: list[float] = (coefficients / reach ** np.arange(16)).tolist()

    def forward(self, matrices: Tensor) -> Tensor:
        """Compute the logarithms of matrices, both of shape (n, n_rows, n_rows)."""
        unit = torch.eye(matrices.shape[-1], dtype=matrices.dtype)
        trace = torch.diagonal(matrices, dim1=-2, dim2=-1).sum(-1)[..., None, None]
        root = matrices / trace
        for steps in self.roots:
            root = square_root(root, unit, steps)
        x = root - number(self.middle) * unit
        x2 = x @ x
        powers, fourth = [unit, x, x2, x2 @ x], x2 @ x2

        def block(k: int) -> Tensor:
            pairs = zip(self.coefficients[k : k + 4], powers, strict=True)
            terms = [number(c) * power for c, power in pairs]
            return sum(terms[1:], terms[0])

        logarithm = block(12)
        for k in (8, 4, 0):  # Paterson and Stockmeyer: blocks of four powers
            logarithm = logarithm @ fourth + block(k)
        return 2.0 ** len(self.roots) * logarithm + torch.log(trace) * unit


def newton_schulz_steps(low: float) -> list[tuple[float, float]]:
    """Find the steps that bring numbers in [``low``, 1] to 1.

    A step is the odd cubic ``a x - b x³`` that keeps them below 1 and brings the smallest of them
    nearest to 1. J. Chen, E. Chow, "A stable scaling of Newton-Schulz for improving the sign
    function computation of a Hermitian matrix", Argonne National Laboratory, 2014.

    Examples
    --------
    >>> x = np.linspace(0.01, 1, 100)
    >>> for a, b in newton_schulz_steps(0.01):
    ...     x = a * x - b * x**3
    >>> bool(np.allclose(x, 1))
    True
    """
    steps = []
    while 1 - low > 1e-12:
        a = 1 + low + low**2  # x (a - x²) is a - 1 at both ends of [low, 1]
        peak = 2 * (a / 3) ** 1.5  # between them
        steps.append((a / peak, 1 / peak))
        low = (a - 1) / peak
    return steps


def square_root(matrices: Tensor, unit: Tensor, steps: list[tuple[float, float]]) -> Tensor:
    """Compute square roots by coupled Newton-Schulz steps, so that rounding errors do not grow."""
    (a, b), *others = steps  # each is a - b x; the minus sign separates factor and product
    inverse = number(a) * unit + number(b) * -matrices
    root = matrices @ inverse
    for a, b in others:
        step = number(a) * unit + number(b) * -(inverse @ root)
        root, inverse = root @ step, step @ inverse
    return root
