"""What is known about a class: nbgrader's gradebook, points, and the ledger of earlier runs."""
