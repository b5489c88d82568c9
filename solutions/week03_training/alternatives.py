from autograder.variants import Alternative

ALTERNATIVES: list[Alternative] = []
