"""Checks that a configured run does not leak."""
