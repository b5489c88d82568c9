"""Which submissions of a week have parts in common that neither the course nor chance explains.

fingerprints   tokens of code or words of a text, and winnowed hashes of their runs
compare        pairs of learners by the rare fingerprints that they share
page           the pairs side by side, with the common parts marked
"""
