"""The exception for bad input: the commands print its message without a traceback."""


class InputError(ValueError):
    """Input that cannot be used: a file, a table, a channel list, a configuration.

    The message is complete: what was found, how much of it, where, and what was expected. The
    commands print it and exit with status 1. Any other exception is a bug and keeps its
    traceback.
    """
