"""Wrong answers that people really write in week 14, the test that rejects each, and what it says."""

from autograder.week.variants import Misconception

MISCONCEPTIONS: list[Misconception] = []
