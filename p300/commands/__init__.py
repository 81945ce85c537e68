"""The commands of ``p300``, one file each."""
