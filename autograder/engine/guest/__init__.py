"""All of the engine that a sandbox sees: the fork server, its isolation, and the learner's process."""
