"""Training checks over many seeds: what a graded cell demands of one run, twenty runs must reach with margin."""
