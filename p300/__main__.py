"""``python -m p300``: the command ``p300`` where it is not on the path."""

from p300.cli import main

__spec__ = None  # Lightning starts further processes as it does for a script
main()
