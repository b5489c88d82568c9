"""A week as its author wrote it: source, cells, names, variants, and the notebooks it is built into."""
