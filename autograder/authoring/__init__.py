"""What authors of weeks use: a new week, the proofs of its tests, previews, the learner's archive."""
