"""The fast way from a recording to epochs: private, held equal to SciPy's by tests."""
