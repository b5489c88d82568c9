"""A class on its way from files to grades: repair, run, judge, record, explain."""
