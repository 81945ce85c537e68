"""Readers of published data sets, each from a folder as it is downloaded."""
