from autograder.variants import Misconception

MISCONCEPTIONS: list[Misconception] = []
