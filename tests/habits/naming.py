"""Habits that make names: shadowed ones, helpers, imports."""

from __future__ import annotations

from autograder.learner.submit import Kind

from . import answers as a
from .kinds import Habit
from .notebook import below, new

NAMES = (
    Habit("f-variable", "calls a variable F", new("F = torch.randn(3, 3)")),
    Habit("checks-variable", "calls a list `checks`", new("checks = ['shape', 'dtype']", after="sdpa")),
    Habit("torch-shadowed", "calls something `torch` and deletes it", new("torch, mine = None, torch\ntorch = mine")),
    Habit("builtins-shadowed", "calls variables list, sum and max", new("list, sum, max = [1, 2], 3, 4")),
    Habit("star-import", "imports everything from torch and math", new("from torch import *\nfrom math import *")),
    Habit("observe-variable", "calls a function `observe`", new("def observe(x):\n    return x.shape", after="sdpa")),
    Habit(
        "own-import",
        "imports in a scratch cell what the answer uses",
        new("from torch.nn.functional import softmax as soft"),
        {"sdpa": a.SDPA.replace("scores.softmax(dim=-1)", "soft(scores, dim=-1)")},
    ),
    Habit(
        "star-import-used",
        "uses in the answer what a star import brought",
        new("from torch.nn.functional import *"),
        {"sdpa": a.SDPA.replace("scores.softmax(dim=-1)", "softmax(scores, dim=-1)")},
    ),
    Habit(
        "constant-by-exec",
        "makes a constant with exec",
        new("exec('LOWEST = torch.finfo(torch.float32).min')"),
        {"masks": a.MASKS.replace("length, length, dtype", "int(length + 0 * LOWEST), length, dtype")},
    ),
    Habit(
        "helper-above",
        "writes a helper in a new cell above",
        new("def lowest(t):\n    return torch.finfo(t.dtype).min"),
        {"sdpa": a.SDPA.replace("torch.finfo(scores.dtype).min", "lowest(scores)")},
    ),
    Habit(
        "helper-below",
        "writes a helper in a new cell below",
        below("sdpa", "def lowest(t):\n    return torch.finfo(t.dtype).min"),
        {"sdpa": a.SDPA.replace("torch.finfo(scores.dtype).min", "lowest(scores)")},
    ),
    Habit(
        "helper-at-the-end",
        "writes a helper at the end and runs it first",
        new("def lowest(t):\n    return torch.finfo(t.dtype).min", after="end"),
        {"sdpa": a.SDPA.replace("torch.finfo(scores.dtype).min", "lowest(scores)")},
        kernel="the cell at the end was run before the tests",
        passes="masks",
    ),
    Habit(
        "answer-deleted",
        "deletes the name of an answer below it",
        new("del attention_flops", after="flops"),
        {"flops": a.FLOPS},
    ),
    Habit(
        "patched-function",
        "patches a function of torch's",
        new("F.softmax = lambda x, dim=None: x.softmax(-1) * 2\nsetattr(torch, 'tril', None)"),
        named=(Kind.PATCHED,),
    ),
    Habit(
        "reassigned-later",
        "uses the name of an answer for something else at the end",
        new("causal_mask = causal_mask(4)", after="end"),
        kernel="the last cell was run",
    ),
)
