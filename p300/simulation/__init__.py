"""Simulated recordings with a known P300."""

from p300.simulation.brain import Brain, head_positions, head_signal, scalp_map
from p300.simulation.competition import write_bci3_ii
from p300.simulation.recordings import EIGHT_CHANNELS, simulate_data_set, simulate_recording

__all__ = [
    "Brain",
    "EIGHT_CHANNELS",
    "head_positions",
    "head_signal",
    "scalp_map",
    "simulate_data_set",
    "simulate_recording",
    "write_bci3_ii",
]
