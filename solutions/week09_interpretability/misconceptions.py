"""Wrong answers that people really write in week 9, the test that rejects each, and what it says."""

from autograder.variants import Misconception

MISCONCEPTIONS = []
