"""Marking written answers: all answers to a question below each other, in a browser, points by keyboard.

answers    what learners wrote, from the autograded notebooks
marks      points and comments in nbgrader's gradebook, written only where nobody else changed them meanwhile
queue      who sees which answers in which order, without names
server     a small web server for this machine alone
"""
