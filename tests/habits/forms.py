"""Habits of writing an answer, and what is left between answers."""

from __future__ import annotations

from autograder.learner.submit import Kind

from . import answers as a
from .kinds import Habit
from .notebook import all_of, before, behind, below, delete, each_code, new, replace

FORMS = (
    Habit(
        "lambda",
        "answers with a lambda",
        answers={"masks": f"{a.PADDING}\n\ncausal_mask = lambda n: torch.ones(n, n).bool().tril()[None, None]"},
    ),
    Habit(
        "lambda-in-new-cell",
        "answers with a lambda in a new cell",
        all_of(
            new(
                "attention_flops = lambda length, d_model, n_heads: 8 * length * d_model**2 + 4 * length**2 * d_model",
                after="flops",
            ),
            delete("flops"),
        ),
        placed=True,
        passes="sdpa masks flops",
    ),
    Habit(
        "partial",
        "answers with a partial",
        answers={"flops": f"import functools\n{a.FLOPS}\nattention_flops = functools.partial(attention_flops)"},
        passes="sdpa masks flops",
    ),
    Habit(
        "decorated",
        "decorates the answer",
        answers={"flops": f"import functools\n\n@functools.lru_cache\n{a.FLOPS}"},
        passes="sdpa masks flops",
    ),
    Habit(
        "callable-object",
        "answers with an object that can be called",
        answers={
            "flops": "class Flops:\n    @staticmethod\n    def __call__"
            + a.FLOPS.removeprefix("def attention_flops").replace("\n", "\n    ")
            + "\nattention_flops = Flops()"
        },
        passes="sdpa masks flops",
    ),
    Habit(
        "under-main",
        "defines the answer below `if __name__ == ...`",
        answers={"flops": "if __name__ == '__main__':\n    " + a.FLOPS.replace("\n    ", "\n        ")},
        passes="sdpa masks flops",
    ),
    Habit(
        "main-guard",
        "tries the answer below `if __name__ == ...`",
        behind("masks", "\n\nif __name__ == '__main__':\n    print(causal_mask(3))"),
    ),
    Habit(
        "prints",
        "prints a lot at the top of an answer",
        behind("masks", "\n\nfor i in range(3000):\n    print(i, causal_mask(4).sum())"),
    ),
    Habit(
        "trains",
        "trains something at the top of an answer",
        behind(
            "sdpa",
            """

layer = ScaledDotProductAttention(4)
free = torch.zeros(1, 1, 2, 4, requires_grad=True)
optimizer = torch.optim.SGD([free], lr=0.1)
for _ in range(20):
    optimizer.zero_grad()
    layer(free, free, free)[0].sum().backward()
    optimizer.step()""",
        ),
    ),
    Habit(
        "uses-an-earlier-answer",
        "builds an answer on another one",
        answers={
            "masks": a.MASKS.replace(
                "return torch.ones(length, length, dtype=torch.bool).tril()",
                "assert ScaledDotProductAttention\n    return torch.ones(length, length, dtype=torch.bool).tril()",
            )
        },
    ),
    Habit(
        "on-a-wrong-answer",
        "builds on a wrong answer",
        answers={"sdpa": a.SDPA_WRONG, "mha": a.MHA},
        passes="masks mha",
        named=(Kind.ON_A_FAILED_ONE,),
    ),
    Habit("on-a-right-answer", "builds on a right answer", answers={"mha": a.MHA}, passes="sdpa masks mha"),
    Habit(
        "mha-below",
        "builds on a wrong answer, in a new cell below the stub",
        below("mha", a.MHA),
        {"sdpa": a.SDPA_WRONG},
        True,
        passes="masks mha",
        named=(Kind.ON_A_FAILED_ONE,),
    ),
    Habit("timed", "puts %%time on top of an answer", before("masks", "%%time\n")),
    Habit(
        "timed-in-new-cell",
        "puts %%time on top of an answer in a new cell",
        all_of(new("%%time\n" + a.FLOPS, after="flops"), delete("flops")),
        placed=True,
        passes="sdpa masks flops",
    ),
    Habit("captured", "puts %%capture on top", before("masks", "%%capture\n")),
    Habit(
        "magics",
        "uses %matplotlib, %autoreload and a bare magic",
        new("%matplotlib inline\n%load_ext autoreload\n%autoreload 2\n%pwd"),
    ),
    Habit("shell", "runs commands", new("!echo hello\nfiles = !ls\n!false")),
    Habit("pip", "installs a package", new("!pip --version")),
    Habit("await", "waits at the top level", behind("masks", "\n\nimport asyncio\nawait asyncio.sleep(0)")),
    Habit(
        "async-cell",
        "awaits in a scratch cell that an answer uses",
        new("import asyncio\nasync def two():\n    return 2\nTWO = await two()", after="setup"),
        {"flops": a.FLOPS.replace("8 *", "4 * TWO *")},
        passes="sdpa masks flops",
    ),
    Habit("input", "asks for input in a scratch cell", new("name = input('who? ')"), kernel="a person answers"),
    Habit("exit", "leaves exit() in a scratch cell", new("exit()", after="sdpa"), kernel="the kernel ended"),
    Habit("sys-exit", "leaves sys.exit() at the end of an answer", behind("masks", "\n\nimport sys\nsys.exit()")),
    Habit("breakpoint", "leaves a breakpoint in a scratch cell", new("breakpoint()"), kernel="a person answers"),
    Habit("raises", "leaves a cell that raises", new("1 / 0", after="sdpa")),
    Habit(
        "assert",
        "leaves an assert of their own that fails, below the answer",
        behind("masks", "\n\nassert causal_mask(2).sum() == 4, 'hm'"),
    ),
    Habit("tabs", "indents with tabs", each_code(lambda text: text.replace("    ", "\t"))),
    Habit("crlf", "saves with Windows line ends", each_code(lambda text: text.replace("\n", "\r\n"))),
    Habit(
        "black",
        "reformats everything",
        each_code(lambda text: "\n".join(line.rstrip() for line in text.split("\n")).strip() + "\n"),
    ),
    Habit(
        "annotations",
        "adds types only",
        replace("masks", "def causal_mask(length):", "def causal_mask(length: int) -> torch.Tensor:"),
    ),
    Habit(
        "stub-annotated", "changes only the types of a stub", replace("flops", "-> int", "-> 'int'"), {"flops": None}
    ),
    Habit(
        "unicode",
        "names variables in another script",
        answers={
            "flops": a.FLOPS.replace("length", "длина")
            .replace("n_heads", "заголовки")
            .replace("(длина, d_model, заголовки)", "(length, d_model, n_heads, длина=None)")
            .replace("return", "длина = длина or length\n    return")
        },
        passes="sdpa masks flops",
    ),
    Habit("syntax", "leaves a syntax error in one answer", behind("flops", "\nreturn ((")),
)
