"""Fast filtering and cutting of epochs: private; tests compare it with SciPy."""
