"""Many runs: planned as jobs, run by any launcher of Hydra, and summarised by their command."""
