"""From whatever learners and platforms deliver to one file for each learner."""
