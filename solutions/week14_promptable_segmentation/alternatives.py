"""Right answers to week 14 that look different from the reference."""

from autograder.week.variants import Alternative

ALTERNATIVES: list[Alternative] = []
