"""What learners do to their notebooks, as data, and every way in which such a notebook is judged."""
