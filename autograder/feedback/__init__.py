"""What one learner is told: facts, misconceptions, pages without hidden tests."""
