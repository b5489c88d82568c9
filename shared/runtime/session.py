"""The last line of a set-up cell: `session.begin()` gets a notebook ready to be worked in.

It sets the style of figures, gives each of them a text alternative, and makes `%check NAME` known, which runs the
visible tests. Where cells run without a notebook around them, such as in the grader, it does what makes sense there.
"""

from __future__ import annotations

import gc
import symtable
import sys
import traceback
from types import FrameType, TracebackType
from typing import Any

from ..checks.core import close_empty_figures

CHECK = "autograder.magic"
"""The extension of IPython that brings `%check`. Loaded by its name: nothing here needs it."""
NOT_INSTALLED = (
    "%check needs the workbook's command, which is not installed in this Python: in the folder of the workbook, "
    "`pip install -e .`, then restart the kernel. Until then run the test cells further down."
)


def begin() -> None:
    """Get ready: style of figures, their texts, `%check`, and quicker imports. Doing it again changes nothing."""
    gc.set_threshold(50_000)  # libraries make many objects that stay; Python need not search them for garbage so often
    from ..plots.style import use_style

    use_style()
    shell = _shell()
    if shell is None:
        return
    try:
        shell.extension_manager.load_extension(CHECK)
    except ModuleNotFoundError:
        shell.register_magic_function(lambda line: print(NOT_INSTALLED), "line", "check")
    if hasattr(shell, "kernel"):
        from .alt_text import show_with_text

        show_with_text(shell)
        shell.set_custom_exc((NotImplementedError, NameError), _unwritten)


def _shell() -> Any:
    """IPython's shell, where cells run in one; else None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


_awaited: set[str] = set()
"""Names that a cell would have made, had it not stopped where an answer is not written."""


def _unwritten(
    shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
) -> None:
    """Show in a line that an answer is not written, or a name not made for that reason; it stays an error.

    Other errors of these kinds, such as a library's own, are shown as they are.
    """
    *_, (inmost, _line) = traceback.walk_tb(trace)
    said = _of_a_name(error) if isinstance(error, NameError) else _of_an_answer(error, inmost)
    if not said:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return
    _awaited.update(_made_by(shell.user_ns["In"][-1]))
    close_empty_figures()
    shell._showtraceback(kind, error, [f"Nothing to see yet: {said}"])


def _of_an_answer(error: BaseException, inmost: FrameType) -> str:
    code = inmost.f_code
    if str(error) or code.co_filename.startswith((sys.prefix, sys.base_prefix)):
        return ""
    return f"{code.co_qualname} is not written. Write it, run it, run this cell again."


def _of_a_name(error: NameError) -> str:
    if error.name not in _awaited:
        return ""
    return f"`{error.name}` comes from a cell above, which waits for an answer. Write it, and run both cells again."


def _made_by(cell: str) -> set[str]:
    """The names that a cell gives a value, a function or a class at its top level."""
    return {name.get_name() for name in symtable.symtable(cell, "cell", "exec").get_symbols() if name.is_assigned()}
