"""Streams of Lab Streaming Layer: how they are found, what they hold, and their gaps."""
