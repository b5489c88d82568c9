"""What the tests of handles share: the module that most of them look at, and what a process keeps for the judge."""

from __future__ import annotations

import torch

from ...learners import Living, by_value

by_value(__name__)

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.first = torch.nn.Linear(width, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(4, 2)
        self.scale = torch.nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.arange(2.0))

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.norm(self.first(x))))) * self.scale + self.shift
"""


def batch(seed: int = 1, rows: int = 5) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def held(one: Living) -> int:
    """How many objects the learner's process keeps for the judge."""

    def count() -> int:
        import gc

        (objects,) = [found for found in gc.get_objects() if type(found).__name__ == "Objects"]
        return len(objects._objects)

    return int(one.learner.call(count))
