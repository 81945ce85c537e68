"""The one exception for bad input: the commands print it as a sentence, without a traceback."""


class InputError(ValueError):
    """Something handed in cannot be used: a file, a table, a channel list, a configuration.

    The message is complete in itself: what was found, how much of it, where, and what was
    expected. The commands print it and exit with status 1; anything else that is raised is a
    bug and keeps its traceback.
    """
