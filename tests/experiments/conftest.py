from sweeping import typed  # noqa: F401  (a fixture)
