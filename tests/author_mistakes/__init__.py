"""Mistakes that authors make, and where each of them must be told: see `table`."""
