"""What an instructor is told about a class, and files for learning platforms."""
