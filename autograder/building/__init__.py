"""From the source of a week to its notebooks: rules, nbgrader's preprocessors, the search for leaks."""
