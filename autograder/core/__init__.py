"""What every part uses and what knows nothing of weeks: errors, files, texts."""
