"""A class on its way from files to grades: plan, judge, commit, tell."""
