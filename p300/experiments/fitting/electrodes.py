"""The electrodes of highest power in a network trained on all of them (eq. 12 of the paper)."""

from __future__ import annotations

import logging

from p300.errors import InputError
from p300.experiments.fitting.groups import fit_network
from p300.experiments.fitting.networks import PlannedNetwork
from p300.experiments.fitting.run import Run

log = logging.getLogger("p300.experiments.fitting.fit")


def select_electrodes(run: Run) -> list[str]:
    """Train a network on all electrodes and return those of highest power (eq. 12).

    Raises
    ------
    InputError
        If the model has no spatial filters to rank the electrodes by, or the number of electrodes
        is not between 1 and all.
    """
    from p300.detector import import_class
    from p300.models.protocols import HasElectrodePower

    cfg, epochs, split = run.cfg, run.epochs, run.split
    kind = import_class(cfg.model["_target_"])
    if not issubclass(kind, HasElectrodePower):
        raise InputError(
            f"got model {kind.__name__}, which has no electrode_power; expected a network with "
            f"spatial filters for select_electrodes.n; use model=cecotti"
        )
    n, n_chans = cfg.select_electrodes.n, len(epochs.ch_names)
    if not 0 < n <= n_chans:
        raise InputError(
            f"got select_electrodes.n={n}; expected 1 to {n_chans}, the number of electrodes"
        )
    parts = split.train, split.validation
    plan = PlannedNetwork(cfg, cfg.model, epochs, *parts, 0, run.folder, content=run.content)
    member, _ = fit_network(plan)
    power = member.detector.electrode_power()
    best = [epochs.ch_names[k] for k in power.argsort(descending=True)[:n]]
    log.info("electrodes of highest power: %s", " ".join(best))
    return best
