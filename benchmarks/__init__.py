"""What grading costs beside plain nbgrader, and whether it holds for a long time."""
