"""The house style, and the figures that recur. Notebooks import them as `shared.plotting`."""
