"""Liars: learners' processes that have no answer and say what somebody without one could say.

Modules in the order in which they may import each other: `knowledge` (what can be known without an answer), `garbage`
(what is said instead of what cannot), `liar` (runs in the learner's process). `autograder.authoring.lies` runs them.
"""
