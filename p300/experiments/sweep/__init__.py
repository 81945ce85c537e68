"""The jobs of a sweep, in one process or through a batch system."""
