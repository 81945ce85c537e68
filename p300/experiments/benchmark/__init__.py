"""Many runs as one benchmark, and the paper's tables."""
