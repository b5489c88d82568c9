"""The verbs of the `workbook` command, one module for each kind of person who uses it."""
