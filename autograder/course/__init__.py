"""The folder of a class: who is in it, when work is due, where nbgrader keeps the grades."""
