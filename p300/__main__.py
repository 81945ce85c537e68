"""``python -m p300``: the command ``p300`` where it is not on the path."""

from p300.cli import main

if __name__ == "__main__":  # and not in a process that only computes
    __spec__ = None  # Lightning starts further processes as it does for a script
    main()
