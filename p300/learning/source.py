"""What a detector has learned from: the sums from which its linear part is computed again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from p300.errors import InputError
from p300.learning.linear import Discriminants, power_of, quiet_weights
from p300.learning.sums import EpochSums

#: Instead of a person of the training: nobody.
NOBODY = "none"


@dataclass(frozen=True, repr=False)
class Source:
    """Sums over the training flashes of each person, and how a detector uses them.

    Parameters
    ----------
    people : mapping of str to EpochSums
        By subject, centred by :meth:`centred`.
    penalty, toeplitz : float
        As of :class:`~p300.learning.linear.Discriminants`.
    weight : float
        Factor of the linear discriminant in the score of the detector.
    log_odds : float
        Factor that turns the score of the detector into log odds of a target.
    power : float
        Mean square up to which a flash counts fully; infinity for all.
    centre : ndarray, shape (n_chans, 1), or None
        What is subtracted from the inputs; None for the mean of each row, as of epochs.
    earlier : EpochSums or None
        Of earlier sessions of the person who spells, as they were learned from.
    """

    people: Mapping[str, EpochSums]
    penalty: float
    toeplitz: float = 0.5
    weight: float = 1.0
    log_odds: float = 1.0
    power: float = np.inf
    centre: np.ndarray | None = None
    earlier: EpochSums | None = None

    def __repr__(self) -> str:
        counts = {name: round(float(sums.n.sum())) for name, sums in self.people.items()}
        return f"<Source of flashes by person: {counts}, penalty {self.penalty:.3g}>"

    @classmethod
    def of_epochs(
        cls,
        epochs: np.ndarray,
        is_target: np.ndarray,
        subject: np.ndarray,
        *,
        basis: np.ndarray,
        penalty: float,
        toeplitz: float = 0.5,
    ) -> Source:
        """Sum the training epochs of a linear detector.

        Parameters
        ----------
        epochs : ndarray, shape (n_flashes, n_chans, n_times)
        is_target : ndarray of bool, shape (n_flashes,)
        subject : ndarray of str, shape (n_flashes,)
        basis : ndarray, shape (n_times, n_functions)
            As of :class:`~p300.learning.sums.EpochSums`.
        penalty, toeplitz : float
            As of the class.

        Raises
        ------
        InputError
            If shapes or types are others, a class is missing, or a sample is not finite.
        """
        epochs, is_target = np.asarray(epochs), np.asarray(is_target)
        subject = np.asarray(subject)
        if epochs.ndim != 3 or basis.ndim != 2 or epochs.shape[2] != len(basis):
            raise InputError(
                f"got epochs of shape {epochs.shape} and a basis of shape {basis.shape}; expected "
                "(n_flashes, n_chans, n_times) and (n_times, n_functions)"
            )
        if is_target.dtype != bool or not is_target.shape == subject.shape == epochs.shape[:1]:
            raise InputError(
                f"got labels of type {is_target.dtype} and shape {is_target.shape}, subjects of "
                f"shape {subject.shape}, {len(epochs)} epochs; expected a bool and a subject each"
            )
        if is_target.all() or not is_target.any() or not np.isfinite(epochs).all():
            raise InputError(
                f"got {is_target.sum()} targets among {len(epochs)} epochs, "
                f"{(~np.isfinite(epochs)).sum()} samples that are not finite; expected both "
                "classes and finite samples"
            )
        centred = epochs - epochs.mean(axis=-1, keepdims=True)
        counted = quiet_weights(centred)
        people = {
            str(name): EpochSums.of(centred[rows], is_target[rows], counted[rows], basis)
            for name in dict.fromkeys(subject.tolist())
            for rows in [np.flatnonzero(subject == name)]
        }
        power = float(np.median(power_of(centred)))
        return cls(people, penalty, toeplitz, power=power)

    def is_alike(self, other: Source) -> bool:
        """Return whether two sources are of one training, whatever was learned later."""
        return list(self.people) == list(other.people) and all(
            np.array_equal(mine.n, theirs.n) and np.array_equal(mine.epochs, theirs.epochs)
            for mine, theirs in zip(self.people.values(), other.people.values(), strict=True)
        )

    def centred(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs without what is the same for both classes, in float64."""
        inputs = np.asarray(inputs, float)
        centre = inputs.mean(axis=-1, keepdims=True) if self.centre is None else self.centre
        return inputs - centre

    def counted(self, centred: np.ndarray) -> np.ndarray:
        """Compute how much each flash counts, at most 1: loud ones less."""
        if np.isinf(self.power):
            return np.ones(len(centred))
        return quiet_weights(centred, self.power)

    def discriminants(self, sums: EpochSums) -> Discriminants:
        """Prepare to compute weights with the covariance of some sums."""
        return Discriminants(sums, penalty=self.penalty, toeplitz=self.toeplitz)

    def whole(self) -> EpochSums:
        """Add up the sums of all people."""
        first, *others = self.people.values()
        for one in others:
            first += one
        return first

    def known(self, person: str | None, *, is_named: bool) -> str | None:
        """Find the person whose own training flashes count fully; None for nobody.

        Raises
        ------
        InputError
            If ``person`` is named in the settings, and was not trained on.
        """
        if person is None or person == NOBODY:
            return None
        if is_named:
            check_person(person, self.people)
        return person if person in self.people else None

    def weighted(self, person: str | None, most: float | None) -> EpochSums:
        """Add up the sums with a limit on what all other people count.

        Parameters
        ----------
        person : str or None
            Whose own flashes count fully; None for nobody.
        most : float or None
            Flashes that those of all others count as, at most; None for no limit.
        """
        others = [sums for name, sums in self.people.items() if name != person]
        n_others = sum(float(sums.n.sum()) for sums in others)
        factor = 1.0 if most is None or n_others <= most else most / n_others
        parts = [sums * factor for sums in others]
        parts += [sums for name, sums in self.people.items() if name == person]
        parts += [] if self.earlier is None else [self.earlier]
        first, *rest = parts
        for one in rest:
            first += one
        return first

    def weighing(self, person: str | None, most: float | None) -> str:
        """Say in words how much the training flashes count."""
        count = {name: float(sums.n.sum()) for name, sums in self.people.items()}
        own = count.pop(person, 0.0) if person is not None else 0.0
        others, parts = sum(count.values()), []
        if own:
            parts.append(f"{own:.0f} own training flashes count fully")
        if count:
            limit = "" if most is None or others <= most else f" count as {most:g}"
            parts.append(f"{others:.0f} of others{limit or ' count fully'}")
        if self.earlier is not None:
            parts.append(f"{self.earlier.n.sum():.0f} of earlier sessions count fully")
        return ", ".join(parts)


def check_person(person: str, people: Collection[str]) -> None:
    """Check that a person who is named was trained on, or is nobody.

    Raises
    ------
    InputError
        If not.
    """
    if person != NOBODY and person not in people:
        raise InputError(
            f"got learning.person={person}; expected one of {list(people)}, whom the detector "
            "was trained on, or none"
        )
