"""Kinds of cells."""

TRUSTED, ANSWER, OWN, TEST = "trusted", "answer", "own", "test"
"""From the course; a learner's answer to an exercise; a learner's own; a test."""
