"""Tests mirror the packages; what they share is `invariants`, `oracles` and `strategies`."""

from hypothesis import settings

# No deadline: a slow machine is no error. The same examples in every run: a red test is a change, not a draw.
settings.register_profile("earmark", deadline=None, derandomize=True)
settings.load_profile("earmark")
