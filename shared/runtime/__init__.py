"""The machine a notebook runs on, and getting a notebook ready."""
