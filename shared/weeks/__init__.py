"""What one week alone uses. It moves to another package when a second week wants it."""
