"""Files: atomic writes, locks, files that are not trusted, and removal of personal data."""
