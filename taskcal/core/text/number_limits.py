"""The largest numbers that are read from untrusted text."""

from __future__ import annotations

LARGEST_NUMBER = 1e300
"""Beyond it a number is a mistake; JSON can write whole numbers that no float holds."""
LARGEST_COUNT = 2**53
"""Beyond it a count is a mistake: not every reader of JSON has larger whole numbers."""
