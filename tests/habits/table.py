"""The habits. Each is what a learner does to a notebook with a few answers in it, most of them right."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import answers as a
from .notebook import (
    Edit,
    Notebook,
    about_it,
    all_of,
    before,
    behind,
    cell_of,
    change,
    code,
    delete,
    duplicate,
    each_cell,
    each_code,
    in_order,
    merge,
    move,
    new,
    nothing,
    replace,
    split,
    top_level,
    without_ids,
    write,
)


@dataclass(frozen=True)
class Habit:
    """A habit.

    Attributes
    ----------
    did : what the learner did, in a few words.
    answers : exercise -> answer, where it is another one than in `answers.RIGHT`; None leaves the stub.
    placed : whether it merges, splits, moves or copies answers: then it earns at least what plain nbgrader gives.
    kernel : why a kernel holds something else than the saved notebook, run from top to bottom, gives; "" mostly.
    """

    name: str
    did: str
    edit: Edit = nothing
    answers: dict[str, str | None] = field(default_factory=dict)
    placed: bool = False
    kernel: str = ""


def _typed_text(notebook: Notebook) -> None:
    """An answer typed into the cell that draws it, whose stub is left alone."""
    cell = cell_of(notebook, "flops-look-1")
    cell["source"] = f"{a.FLOPS}\n\n{cell['source']}"


def _lines(cell: dict[str, object]) -> None:
    cell["source"] = str(cell["source"]).splitlines(keepends=True)


def _stripped(notebook: Notebook) -> None:
    """What Colab leaves: none of the metadata, no ids."""
    each_cell(lambda cell: cell.update(metadata={"id": "aB1"}))(notebook)
    without_ids(notebook)
    notebook["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


def _no_tests(notebook: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if "-test-" not in cell["id"]]


def _new_ids(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["id"] = code("")["id"]


def _shown(notebook: Notebook) -> None:
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["mine\n"]}]
            cell["execution_count"] = number


def _below(exercise: str, source: str) -> Edit:
    return new(source, after=exercise)


STATE = (
    Habit(
        "default-dtype", "sets torch's default dtype in a scratch cell", new("torch.set_default_dtype(torch.float64)")
    ),
    Habit(
        "default-dtype-below",
        "sets it below the answer, after trying something",
        new("torch.set_default_dtype(torch.float64)\nprint(causal_mask(3))", after="masks"),
    ),
    Habit("grad-off", "switches gradients off in a scratch cell", new("torch.set_grad_enabled(False)")),
    Habit("no-grad-entered", "enters no_grad and never leaves it", new("torch.no_grad().__enter__()")),
    Habit("inference-mode", "enters inference mode and never leaves it", new("torch.inference_mode().__enter__()")),
    Habit("default-device", "names the CPU as the default device", new("torch.set_default_device('cpu')")),
    Habit("default-meta", "tries the meta device as default", new("torch.set_default_device('meta')", after="masks")),
    Habit("seed-torch", "seeds torch in a scratch cell", new("torch.manual_seed(1234)")),
    Habit(
        "seed-numpy",
        "seeds NumPy and random",
        new("import random\nimport numpy as np\nnp.random.seed(7)\nrandom.seed(7)"),
    ),
    Habit("deterministic", "asks for deterministic algorithms", new("torch.use_deterministic_algorithms(True)")),
    Habit("anomaly", "leaves anomaly detection on", new("torch.autograd.set_detect_anomaly(True)")),
    Habit("autocast", "leaves autocast on", new("torch.autocast('cpu', torch.bfloat16).__enter__()")),
    Habit("precision", "sets the precision of products", new("torch.set_float32_matmul_precision('medium')")),
    Habit("warnings-errors", "turns warnings into errors", new("import warnings\nwarnings.simplefilter('error')")),
    Habit("numpy-errors", "lets NumPy raise on every odd number", new("import numpy as np\nnp.seterr(all='raise')")),
    Habit(
        "print-options", "prints tensors with two digits", new("torch.set_printoptions(precision=2, sci_mode=False)")
    ),
    Habit("threads", "asks for more threads", new("torch.set_num_threads(2)")),
    Habit("chdir", "goes to another folder", new("import os\nos.chdir('/')")),
    Habit(
        "sys-path", "adds folders to the path", new("import sys\nsys.path.insert(0, '..')\nsys.path.append('/nowhere')")
    ),
    Habit(
        "environment",
        "sets environment variables",
        new("import os\nos.environ['PROFILE'] = 'gpu'\nos.environ.pop('HOME', None)"),
    ),
    Habit("recursion", "lowers the recursion limit", new("import sys\nsys.setrecursionlimit(150)", after="masks")),
    Habit("gc-off", "switches the garbage collector off", new("import gc\ngc.disable()")),
    Habit(
        "plot-style",
        "changes how plots look",
        new("plt.rcParams['figure.figsize'] = (3, 3)\nplt.style.use('dark_background')"),
    ),
)
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
        _below("sdpa", "def lowest(t):\n    return torch.finfo(t.dtype).min"),
        {"sdpa": a.SDPA.replace("torch.finfo(scores.dtype).min", "lowest(scores)")},
    ),
    Habit(
        "helper-at-the-end",
        "writes a helper at the end and runs it first",
        new("def lowest(t):\n    return torch.finfo(t.dtype).min", after="end"),
        {"sdpa": a.SDPA.replace("torch.finfo(scores.dtype).min", "lowest(scores)")},
        kernel="the cell at the end was run before the tests",
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
    ),
    Habit(
        "reassigned-later",
        "uses the name of an answer for something else at the end",
        new("causal_mask = causal_mask(4)", after="end"),
        kernel="the last cell was run",
    ),
)
PLACES = (
    Habit(
        "below-the-stub",
        "leaves the stub and answers in a new cell below",
        _below("sdpa", a.SDPA),
        {"sdpa": None},
        True,
    ),
    Habit("below-the-stub-wrong", "the same, with a wrong answer", _below("sdpa", a.SDPA_WRONG), {"sdpa": None}, True),
    Habit(
        "above-the-stub",
        "leaves the stub and answers in a new cell above",
        new(a.SDPA, after="sdpa-about"),
        {"sdpa": None},
        True,
        kernel="the stub was run last",
    ),
    Habit("at-the-end", "leaves the stub and answers at the end", new(a.SDPA, after="end"), {"sdpa": None}, True),
    Habit(
        "below-the-tests",
        "leaves the stub and answers below the tests",
        new(a.MASKS, after="masks-test-2"),
        {"masks": None},
        True,
    ),
    Habit(
        "stub-deleted",
        "deletes the stub and answers in a new cell",
        all_of(_below("sdpa", a.SDPA), delete("sdpa")),
        placed=True,
    ),
    Habit(
        "stub-deleted-end",
        "deletes the stub and answers at the end",
        all_of(new(a.FLOPS, after="end"), delete("flops")),
        placed=True,
    ),
    Habit(
        "stub-deleted-draft",
        "deletes the stub; a wrong draft and the answer stand in two new cells",
        all_of(_below("masks", a.MASKS), _below("masks", a.PADDING + a.CAUSAL_WRONG), delete("masks")),
        placed=True,
    ),
    Habit(
        "stub-emptied",
        "empties the stub and answers below",
        all_of(_below("sdpa", a.SDPA), write("sdpa", "")),
        placed=True,
    ),
    Habit(
        "stub-noted",
        "writes `see below` into the stub",
        all_of(new(a.SDPA, after="end"), write("sdpa", "# see below")),
        placed=True,
    ),
    Habit(
        "two-in-one",
        "writes two answers into one cell and deletes the other stub",
        all_of(write("sdpa", f"{a.SDPA}\n\n{a.MASKS}"), delete("masks")),
        placed=True,
    ),
    Habit(
        "two-in-one-stub-left",
        "writes two answers into one cell and leaves the other stub",
        write("sdpa", f"{a.SDPA}\n\n{a.MASKS}"),
        {"masks": None},
        True,
        kernel="the stub was run last",
    ),
    Habit(
        "two-in-the-later",
        "writes two answers into the cell of the later one",
        all_of(write("masks", f"{a.SDPA}\n\n{a.MASKS}"), delete("sdpa")),
        placed=True,
    ),
    Habit(
        "all-at-the-top",
        "writes all answers into one new cell below the imports",
        all_of(new(f"{a.SDPA}\n\n{a.MASKS}\n\n{a.FLOPS}"), delete("sdpa", "masks", "flops")),
        placed=True,
    ),
    Habit(
        "merged-by-editor",
        "merges two answers and what is between",
        merge("sdpa", "sdpa-look-1", "sdpa-test-1"),
        placed=True,
    ),
    Habit("merged-answers", "merges the cells of two answers", merge("sdpa", "masks"), placed=True),
    Habit("split-functions", "splits a cell of two functions", split("masks", "def causal_mask"), placed=True),
    Habit(
        "split-functions-vs-code",
        "the same in VS Code, which keeps no metadata",
        split("masks", "def causal_mask", keep_metadata=False),
        placed=True,
    ),
    Habit("split-class", "splits a class between two methods", split("sdpa", "    def forward"), placed=True),
    Habit(
        "split-imports",
        "puts the imports of an answer into a cell of its own",
        all_of(before("masks", "import functools\n"), split("masks", "def padding_mask")),
        placed=True,
    ),
    Habit(
        "method-patched",
        "writes the class, and a method in the next cell",
        _below("sdpa", a.SDPA_PATCHED[1]),
        {"sdpa": a.SDPA_PATCHED[0]},
        True,
    ),
    Habit(
        "moved-to-the-end",
        "moves an answer to the end",
        move("sdpa", "end"),
        placed=True,
        kernel="the cell was run before its tests",
    ),
    Habit("moved-up", "moves an answer up to another", move("masks", "sdpa-about"), placed=True),
    Habit(
        "answers-on-top",
        "moves all answers below the imports",
        all_of(*(move(one, "setup") for one in ("flops", "masks", "sdpa"))),
        placed=True,
    ),
    Habit(
        "copied-same-id",
        "copies a cell with its id; the copy is right",
        duplicate("flops", "flops", a.FLOPS, same_id=True),
        placed=True,
    ),
    Habit(
        "copied-to-try",
        "copies a right answer to the end and breaks the copy",
        duplicate("masks", "end", a.PADDING + a.CAUSAL_WRONG),
        placed=True,
    ),
    Habit(
        "copied-as-backup",
        "keeps a wrong copy above the right answer",
        duplicate("masks", "masks-about", a.PADDING + a.CAUSAL_WRONG),
        placed=True,
    ),
    Habit(
        "stub-copied",
        "keeps a copy of the stub below the answer",
        all_of(duplicate("flops", "flops"), write("flops", a.FLOPS)),
        {"flops": None},
        True,
        kernel="the copied stub was run last",
    ),
    Habit(
        "helper-in-a-draft",
        "a copy holds a helper that the last version uses",
        all_of(
            duplicate(
                "masks", "masks-about", f"def square(n):\n    return torch.ones(n, n, dtype=torch.bool)\n\n{a.MASKS}"
            )
        ),
        {"masks": a.MASKS.replace("torch.ones(length, length, dtype=torch.bool)", "square(length)")},
        True,
    ),
    Habit("in-the-look-cell", "types the answer into the cell that draws", _typed_text, {"flops": None}, True),
    Habit(
        "in-the-test-cell",
        "types the answer on top of the test cell",
        before("flops-test-1", f"{a.FLOPS}\n\n"),
        {"flops": None},
        True,
    ),
    Habit(
        "half-in-new-cell",
        "answers one function in the stub's cell and one below",
        all_of(write("masks", a.PADDING), _below("masks", a.CAUSAL)),
        placed=True,
    ),
)
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
    ),
    Habit(
        "partial",
        "answers with a partial",
        answers={"flops": f"import functools\n{a.FLOPS}\nattention_flops = functools.partial(attention_flops)"},
    ),
    Habit(
        "decorated", "decorates the answer", answers={"flops": f"import functools\n\n@functools.lru_cache\n{a.FLOPS}"}
    ),
    Habit(
        "callable-object",
        "answers with an object that can be called",
        answers={
            "flops": "class Flops:\n    @staticmethod\n    def __call__"
            + a.FLOPS.removeprefix("def attention_flops").replace("\n", "\n    ")
            + "\nattention_flops = Flops()"
        },
    ),
    Habit(
        "under-main",
        "defines the answer below `if __name__ == ...`",
        answers={"flops": "if __name__ == '__main__':\n    " + a.FLOPS.replace("\n    ", "\n        ")},
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
    Habit("on-a-wrong-answer", "builds on a wrong answer", answers={"sdpa": a.SDPA_WRONG, "mha": a.MHA}),
    Habit("on-a-right-answer", "builds on a right answer", answers={"mha": a.MHA}),
    Habit(
        "mha-below",
        "builds on a wrong answer, in a new cell below the stub",
        _below("mha", a.MHA),
        {"sdpa": a.SDPA_WRONG},
        True,
    ),
    Habit("timed", "puts %%time on top of an answer", before("masks", "%%time\n")),
    Habit(
        "timed-in-new-cell",
        "puts %%time on top of an answer in a new cell",
        all_of(new("%%time\n" + a.FLOPS, after="flops"), delete("flops")),
        placed=True,
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
    ),
    Habit("syntax", "leaves a syntax error in one answer", behind("flops", "\nreturn ((")),
)
FILES = (
    Habit("tests-edited", "edits a test", write("masks-test-1", "print('passed')")),
    Habit("tests-deleted", "deletes every test", _no_tests),
    Habit("tests-with-more", "adds an assert to a test", behind("masks-test-1", "\nassert causal_mask(2).sum() == 4")),
    Habit("setup-edited", "adds an import to the set-up cell that no answer needs", behind("setup", "\nimport random")),
    Habit(
        "setup-used",
        "adds an import to the set-up cell and uses it",
        behind("setup", "\nimport numpy as np"),
        {"masks": a.MASKS.replace("length, length, dtype", "int(np.int64(length)), length, dtype")},
        kernel="the edited cell was run",
    ),
    Habit("markdown-and-back", "turns an answer into text and back", change("sdpa", cell_type="code", metadata={})),
    Habit(
        "left-as-raw",
        "leaves the old stub as a raw cell and answers below",
        all_of(_below("sdpa", a.SDPA), change("sdpa", cell_type="raw")),
        {"sdpa": None},
        True,
    ),
    Habit(
        "merged-with-text",
        "merges the heading into the answer's cell",
        all_of(before("masks", "# Masks: my notes\n"), delete("masks-about")),
    ),
    Habit("metadata-stripped", "works in Colab", _stripped),
    Habit("format-4-4", "saves in format 4.4, without ids", without_ids),
    Habit("new-ids", "works in an editor that gives all cells new ids", _new_ids),
    Habit("lines", "saves the lines of cells as lists", each_cell(_lines)),
    Habit("outputs", "leaves outputs in", _shown),
    Habit(
        "kernel-name",
        "chose another kernel",
        about_it(kernelspec={"name": "cv", "display_name": "cv", "language": "python"}),
    ),
    Habit("newer-format", "saves with a newer minor format", top_level(nbformat_minor=9)),
    Habit(
        "out-of-order", "has the answers in another order", in_order(["setup", "flops", "masks", "sdpa"]), placed=True
    ),
    Habit(
        "texts-deleted",
        "deletes all texts",
        lambda notebook: notebook.update(cells=[c for c in notebook["cells"] if c["cell_type"] == "code"]),
    ),
)
HABITS = STATE + NAMES + PLACES + FORMS + FILES
