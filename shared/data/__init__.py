"""Data sets and the generators of pictures, deterministic by seed. Notebooks import them as `shared.datasets`."""
