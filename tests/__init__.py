"""The manual: each test's name is a claim."""
