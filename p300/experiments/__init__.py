"""Configured runs: from a configuration to results. Hydra is met here and in the commands only."""
