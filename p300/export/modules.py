"""A whole trained detector as one torch module, with only those operations that ONNX has.

Networks do not change. Every linear classical detector becomes one weight per electrode and
sample, and the weights of all of them are added into one matrix. The Riemannian detectors need the
logarithm of a matrix, which :mod:`p300.export.matrix_logarithm` computes from matrix products.
Everything but the networks runs in float64, as in the checkpoint.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from p300.baselines import ERPCovMDM, SklearnDetector, XdawnTangentSpace
from p300.detector import Detector, Member
from p300.errors import InputError
from p300.export.matrix_logarithm import MatrixLogarithm, number
from p300.models.last_layer import without_last_layer


class ScoreGraph(nn.Module):
    """Module from preprocessed epochs to the calibrated scores of a detector, to be exported.

    Parameters
    ----------
    detector : Detector
        Not changed; its networks are shared and set to evaluation mode.

    Raises
    ------
    InputError
        If a member is neither a network nor a classical detector that is known here.

    Examples
    --------
    >>> from p300.baselines import ShrinkageLDA
    >>> from p300.preprocessing import Preprocessor
    >>> X, y = np.random.default_rng(0).normal(size=(60, 8, 78)), np.arange(60) % 6 == 0
    >>> members = [Member(ShrinkageLDA().fit(X, y), {}, weight=2.0)]
    >>> graph = ScoreGraph(Detector(members, Preprocessor()))
    >>> scores = graph(torch.as_tensor(X)).numpy()
    >>> bool(np.allclose(scores, 2 * members[0].detector.decision_function(X)))
    True
    """

    linear: Tensor | None  # (n_chans * n_times,), if there are linear members

    def __init__(self, detector: Detector):
        super().__init__()
        slope, self.offset = detector.calibration
        self.parts = nn.ModuleList()
        self.weights: list[float] = []
        linear: list[np.ndarray] = []
        for member in detector.members:
            weight = slope * member.weight
            if member.is_network:
                self.parts.append(NetworkScore(member))
            elif isinstance(member.detector, XdawnTangentSpace):
                self.parts.append(TangentSpaceScore(member.detector))
            elif isinstance(member.detector, ERPCovMDM):
                self.parts.append(MeanDistanceScore(member.detector))
            elif hasattr(member.detector, "epoch_weights"):
                linear.append(weight * np.asarray(member.detector.epoch_weights(), np.float64))
                self.offset += weight * float(member.detector.intercept_)
                continue
            else:
                is_wrapped = isinstance(member.detector, SklearnDetector)
                kind = type(member.detector.estimator if is_wrapped else member.detector)
                raise InputError(
                    f"a member is a {kind.__name__}, which has no form in ONNX; "
                    f"expected a network, a linear detector or one of p300.baselines.riemann"
                )
            self.weights.append(weight)
        summed = torch.as_tensor(sum(linear[1:], linear[0]).ravel()) if linear else None
        self.register_buffer("linear", summed)

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (n_flashes, n_chans, n_times): float64, shape (n_flashes,)."""
        parts = zip(self.weights, self.parts, strict=True)
        scores = [number(weight) * part(epochs) for weight, part in parts]
        if self.linear is not None:
            scores.append(epochs.double().flatten(1) @ self.linear)
        return sum(scores[1:], scores[0]) + number(self.offset)


class ScoreAndFeatures(nn.Module):
    """The scores of a detector of networks alone, and the inputs of their last layers.

    Parameters
    ----------
    detector : Detector
        Of networks with a linear last layer; not changed.
    """

    def __init__(self, detector: Detector):
        super().__init__()
        slope, self.offset = detector.calibration
        self.weights = [slope * member.weight for member in detector.members]
        divided = [without_last_layer(member.detector) for member in detector.members]
        self.bodies = nn.ModuleList(body for body, _ in divided)
        self.layers = nn.ModuleList(layer for _, layer in divided)
        self.read_logits = [member.read_logits for member in detector.members]

    def forward(self, epochs: Tensor) -> tuple[Tensor, Tensor]:
        """Score epochs: float64, (n_flashes,), and the features, (n_flashes, n_features)."""
        features = [body(epochs).flatten(1) for body in self.bodies]
        parts = zip(self.weights, self.layers, self.read_logits, features, strict=True)
        scores = [number(w) * read(layer(f)).double() for w, layer, read, f in parts]
        total = sum(scores[1:], scores[0]) + number(self.offset)
        return total, torch.cat([f.double() for f in features], dim=1)


class NetworkScore(nn.Module):
    """A network and the score that belongs to its loss: float64, shape (n_flashes,)."""

    def __init__(self, member: Member):
        super().__init__()
        self.network = member.detector.eval()
        self.loss, self.read_logits = member.loss, member.read_logits

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (n_flashes, n_chans, n_times)."""
        logits = self.network(epochs)
        if self.loss == "LogisticSquareError":
            return normalised_output(logits.double())
        return self.read_logits(logits).double()


def normalised_output(logits: Tensor) -> Tensor:
    """Compute the score of :class:`~p300.losses.LogisticSquareError` for logits of any size.

    It is a quotient of logistic functions. Below -18 the float32 logistic function of onnxruntime
    is constant, and below -103 that of torch is 0. The quotient itself is a logistic function, of
    a difference of softplus functions.

    Examples
    --------
    >>> logits = torch.tensor([[-1000.0, -1001.0], [3.0, 3.0]], dtype=torch.float64)
    >>> normalised_output(logits).numpy().round(4)
    array([-0.2311,  0.    ])
    """
    soft = torch.clamp(-logits, min=0) + torch.log(1 + torch.exp(-torch.abs(logits)))
    return torch.sigmoid(soft[:, 0] - soft[:, 1]) - 0.5


class Covariances(nn.Module):
    """Logarithm of shrunk covariances with mean evoked responses, whitened by a reference.

    Parameters
    ----------
    detector : XdawnTangentSpace or ERPCovMDM
        Fitted.
    reference : ndarray, shape (n_rows, n_rows)
        A positive definite matrix.
    """

    prototypes: Tensor  # (n, n_times)
    whitening: Tensor  # (n_rows, n_rows)

    def __init__(self, detector: XdawnTangentSpace | ERPCovMDM, reference: np.ndarray):
        super().__init__()
        values, vectors = np.linalg.eigh(np.asarray(reference, np.float64))
        prototypes = np.asarray(detector.prototypes_, np.float64)
        prototypes = prototypes - prototypes.mean(axis=-1, keepdims=True)
        self.register_buffer("prototypes", torch.as_tensor(prototypes))
        n_rows, self.n_times = len(values), prototypes.shape[1]
        # this includes the division of the covariances by n_times
        whitening = (vectors / np.sqrt(values * self.n_times)) @ vectors.T
        self.register_buffer("whitening", torch.as_tensor(whitening))
        # shrinkage keeps at least 1 / (n_times + 1) of the mean eigenvalue, for any epoch
        smallest = float(values[0] / values[-1]) / (n_rows * (self.n_times + 1))
        self.logarithm = MatrixLogarithm(smallest)

    def forward(self, signals: Tensor) -> Tensor:
        """Compute logarithms (n_flashes, n_rows, n_rows) of signals (n_flashes, n, n_times)."""
        signals = signals - signals.mean(-1, keepdim=True)
        signals = torch.cat([self.prototypes.expand(signals.shape[0], -1, -1), signals], 1)
        covariances = shrunk(signals @ signals.mT, self.n_times)
        return self.logarithm(self.whitening @ covariances @ self.whitening)


class TangentSpaceScore(nn.Module):
    """:class:`~p300.baselines.XdawnTangentSpace`: the logistic regression's score."""

    filters: Tensor  # (n_filters, n_chans)
    weights: Tensor  # (n_rows, n_rows)

    def __init__(self, detector: XdawnTangentSpace):
        super().__init__()
        self.covariances = Covariances(detector, detector.reference_)
        self.register_buffer("filters", torch.as_tensor(np.asarray(detector.filters_, np.float64)))
        n_rows = len(detector.reference_)
        upper, coef = np.zeros((n_rows, n_rows)), np.asarray(detector.coef_, np.float64)
        upper[np.triu_indices(n_rows)] = coef  # for the upper triangle, times √2 off the diagonal
        weights = np.where(np.eye(n_rows, dtype=bool), upper, np.sqrt(2) * upper)
        self.register_buffer("weights", torch.as_tensor(weights))
        self.intercept = float(detector.intercept_)

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (n_flashes, n_chans, n_times)."""
        logarithms = self.covariances(self.filters @ epochs.double())
        return (logarithms * self.weights).sum((1, 2)) + number(self.intercept)


class MeanDistanceScore(nn.Module):
    """:class:`~p300.baselines.ERPCovMDM`: squared distance to nontargets minus targets."""

    def __init__(self, detector: ERPCovMDM):
        super().__init__()
        self.nontarget, self.target = (Covariances(detector, mean) for mean in detector.means_)

    def forward(self, epochs: Tensor) -> Tensor:
        """Score epochs (n_flashes, n_chans, n_times)."""
        epochs = epochs.double()
        distances = [part(epochs).square().sum((1, 2)) for part in (self.nontarget, self.target)]
        return distances[0] - distances[1]


def shrunk(covariances: Tensor, n_samples: int) -> Tensor:
    """Shrink covariances by the oracle approximation, as :mod:`p300.baselines.xdawn` does."""
    n_rows = covariances.shape[-1]
    power = covariances.square().mean((-1, -2), keepdim=True)
    mean = torch.diagonal(covariances, dim1=-2, dim2=-1).mean(-1)[..., None, None]
    denominator = (n_samples + 1) * (power - mean.square() / n_rows)
    denominator = torch.maximum(denominator, number(1e-300))
    shrinkage = torch.clamp((power + mean.square()) / denominator, max=1.0)
    unit = torch.eye(n_rows, dtype=covariances.dtype)
    return (1 - shrinkage) * covariances + shrinkage * mean * unit
