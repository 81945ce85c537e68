"""Scalp maps: one value per electrode on the head seen from above, the nose upwards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from p300.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import ArrayLike

#: Fewest electrodes that are drawn.
MIN_ELECTRODES = 3

#: Fewest electrodes between which a map is interpolated; fewer are drawn as dots.
MIN_INTERPOLATED = 16

#: Radius of the drawn head in m, as in MNE.
HEAD_M = 0.095

#: Colours of values with a sign (zero is white), and of values without.
SIGNED, UNSIGNED = "RdBu_r", "cividis_r"


def draw_scalp_map(
    values: ArrayLike,
    ch_names: Sequence[str],
    ax: Axes,
    *,
    limits: tuple[float, float] | None = None,
    marked: Sequence[str] = (),
) -> ScalarMappable:
    """Draw one value per electrode on the head, the nose upwards.

    From 16 electrodes on, colours between electrodes are interpolated linearly, and end a short
    way outside the outer electrodes: nothing drawn exceeds the range of the values. Fewer
    electrodes are dots, since most of the head is then far from any of them.

    Parameters
    ----------
    values : array-like of float, shape (n_chans,)
        One finite value per channel, in any unit.
    ch_names : sequence of str
        Names of the 10-05 system, in upper or lower case; each once.
    ax : matplotlib.axes.Axes
        Drawn into.
    limits : tuple of float or None
        Values at the ends of the colours. None: from 0 to the largest where no value is
        negative, else plus and minus the largest absolute value. If the lower limit is negative,
        the colours are blue, white and red, otherwise yellow to dark blue.
    marked : sequence of str
        Channels whose electrodes are emphasized: large and white, or dots with a black edge.

    Returns
    -------
    matplotlib.cm.ScalarMappable
        The image, or the dots, for a colour bar.

    Raises
    ------
    InputError
        If channels have no place in the 10-05 system, are repeated or are too few, or if values
        are missing or not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_scalp_map([1.0, 3.0, 2.0, 0.5], ["FZ", "CZ", "PZ", "OZ"], ax).get_clim()
    (0.0, 3.0)
    """
    import mne

    numbers = np.asarray(values, float)
    names = [str(c).strip(". ") for c in ch_names]
    wanted = [_key(c) for c in marked]
    _check(numbers, names, wanted)
    limits = scalp_limits(numbers) if limits is None else (float(limits[0]), float(limits[1]))
    colours = SIGNED if limits[0] < 0 else UNSIGNED
    is_marked = np.array([_key(c) in wanted for c in names])
    places = np.array([_places()[key] for key in _keys(names)])
    if len(names) < MIN_INTERPOLATED:
        return _draw_dots(numbers, places, ax, limits, colours, is_marked)
    image, _ = mne.viz.plot_topomap(
        numbers,
        HEAD_M * places,
        axes=ax,
        show=False,
        vlim=limits,
        cmap=colours,
        image_interp="linear",
        extrapolate="local",
        mask=is_marked if wanted else None,
        mask_params={"markersize": 5, "markerfacecolor": "w", "markeredgecolor": "k"},
        contours=4,
        sphere=(0.0, 0.0, 0.0, HEAD_M),
    )
    return image


def scalp_limits(values: ArrayLike) -> tuple[float, float]:
    """Compute colour limits for one or several maps that share them.

    Examples
    --------
    >>> scalp_limits([-1.0, 3.0]), scalp_limits([1.0, 3.0]), scalp_limits([0.0])
    ((-3.0, 3.0), (0.0, 3.0), (0.0, 1.0))
    """
    values = np.asarray(values, float)
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return (-largest if (values < 0).any() else 0.0), largest


def without_place(ch_names: Sequence[str]) -> list[str]:
    """List the channels that have no place in the 10-05 system.

    Examples
    --------
    >>> without_place(["Cz", "PO7", "EMG", "pz"])
    ['EMG']
    """
    return [c for c, key in zip(ch_names, _keys(ch_names), strict=True) if key not in _places()]


def electrode_place(ch_name: str) -> tuple[float, float] | None:
    """Return the place of an electrode on a head of radius 1: to the right, and to the nose.

    Examples
    --------
    >>> x, y = electrode_place("Pz")
    >>> abs(x) < 0.01, -0.6 < y < -0.2, electrode_place("EMG")
    (True, True, None)
    """
    place = _places().get(_keys([ch_name])[0])
    return None if place is None else (float(place[0]), float(place[1]))


def _draw_dots(
    values: np.ndarray,
    places: np.ndarray,
    ax: Axes,
    limits: tuple[float, float],
    colours: str,
    is_marked: np.ndarray,
) -> ScalarMappable:
    """Draw each electrode as a dot in the colour of its value, on the outline of a head."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    apart = np.hypot(*(places[:, np.newaxis] - places).T)[~np.eye(len(places), dtype=bool)]
    size = min(0.13, 0.48 * apart.min())
    dots = PatchCollection([Circle((x, y), size) for x, y in places], cmap=colours)
    dots.set_array(values)
    dots.set_clim(limits)
    dots.set_edgecolor(["k" if marked else "0.5" for marked in is_marked])
    dots.set_linewidth([1.5 if marked else 0.5 for marked in is_marked])
    ax.add_patch(Circle((0, 0), 1, fill=False, lw=1))
    ax.plot([-0.18, 0, 0.18], [0.98, 1.14, 0.98], color="k", lw=1)  # the nose
    for side in (-1, 1):
        angle = np.linspace(-np.pi / 2, np.pi / 2, 20)
        ax.plot(side * (1 + 0.08 * np.cos(angle)), 0.22 * np.sin(angle), color="k", lw=1)
    ax.add_collection(dots)
    ax.set(xlim=(-1.15, 1.15), ylim=(-1.1, 1.2), aspect="equal")
    ax.set_axis_off()
    return dots


def _keys(ch_names: Sequence[str]) -> list[str]:
    """Return the names by which places are looked up; "" for names of another layout."""
    from p300.electrodes import clean_names, find_positions

    known = find_positions(ch_names)
    pairs = zip(ch_names, clean_names(ch_names), strict=True)
    return [name if ch_name in known and name in _places() else "" for ch_name, name in pairs]


def _key(ch_name: str) -> str:
    return str(ch_name).strip(". ").lower()


def _check(values: np.ndarray, names: Sequence[str], marked: Sequence[str]) -> None:
    lost = without_place(names)
    if lost:
        raise InputError(
            f"{len(lost)} of {len(names)} channels have no place on the head: {', '.join(lost)}; "
            f"expected names of the 10-05 system"
        )
    lower = [c.lower() for c in names]
    twice = sorted({c for c in names if lower.count(c.lower()) > 1})
    if twice:
        raise InputError(f"channels are repeated: {', '.join(twice)}; expected each once")
    if len(names) < MIN_ELECTRODES:
        raise InputError(
            f"{len(names)} electrodes; expected at least {MIN_ELECTRODES} to show places on a head"
        )
    if values.shape != (len(names),):
        raise InputError(
            f"values of shape {values.shape} for {len(names)} channels; "
            f"expected one value per channel"
        )
    broken = [c for c, v in zip(names, values, strict=True) if not np.isfinite(v)]
    if broken:
        raise InputError(
            f"{len(broken)} values are not finite, those of {', '.join(broken)}; "
            f"expected finite values"
        )
    unknown = sorted(set(marked) - set(lower))
    if unknown:
        raise InputError(
            f"got marked={', '.join(unknown)}; expected some of the channels {', '.join(names)}"
        )


@lru_cache(maxsize=1)
def _places() -> dict[str, np.ndarray]:
    """Project the 10-05 electrodes onto a flat head of radius 1, by lower-case name.

    The angle from the vertex becomes the distance from the centre. The outline is about at the
    level of the nasion, Iz, T9 and T10; electrodes on it or below are drawn just inside it.
    """
    from p300.electrodes import standard_montage

    positions = standard_montage().get_positions()
    places = positions["ch_pos"]
    names = [name for name, place in places.items() if np.isfinite(place).all()]
    front = positions["nasion"]
    back, left, right = (places[name] for name in ("Iz", "T9", "T10"))
    centre = [(left + right)[0] / 2, (front + back)[1] / 2, (front + back + left + right)[2] / 4]
    x, y, z = (np.array([places[name] for name in names]) - centre).T
    across = np.hypot(x, y)
    radius = np.minimum(0.94 * np.arctan2(across, z) / (np.pi / 2), 0.95)
    radius /= np.maximum(across, 1e-9)
    flat = np.stack([x * radius, y * radius], axis=1)
    return dict(zip(map(str.lower, names), flat, strict=True))
