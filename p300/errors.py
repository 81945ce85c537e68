"""The exception for bad input: the commands print its message without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p300.proposals import Proposal


class InputError(ValueError):
    """Input that cannot be used: a file, a table, a channel list, a configuration.

    The message is complete: what was found, how much of it, where, and what was expected. The
    commands print it and exit with status 1. Any other exception is a bug and keeps its
    traceback.

    Parameters
    ----------
    message : str
        For a call in Python.
    proposals : sequence of Proposal
        Arguments that the message proposes, in the form of Python; a command types them otherwise.
    """

    def __init__(self, message: str = "", proposals: Sequence[Proposal] = ()) -> None:
        super().__init__(message)
        self.proposals = tuple(proposals)

    @property
    def typed(self) -> str:
        """The message for the command line, where arguments are overrides."""
        text = str(self)
        for proposal in self.proposals:
            text = text.replace(str(proposal), proposal.typed)
        return text
