"""Learning while spelling: a detector that gets better by the characters it decides."""
