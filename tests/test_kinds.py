"""No logic reads what is written for people: a walk through the syntax trees of the program."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .chosen import ROOT

PROGRAM = sorted(path for folder in ("autograder", "shared") for path in (ROOT / folder).rglob("*.py"))
TEXTS = {"message", "check", "came", "expected", "where", "cause", "next_step", "reason", "damaged", "evalue", "text"}
"""Attributes, keys and names of texts for people."""
PARAMETERS = TEXTS - {"check", "where", "text", "expected"}
"""Of these, what a parameter must be that has this name; the others have other uses, too."""
READING = {"startswith", "endswith", "find", "rfind", "index", "count", "partition", "rpartition", "split", "replace"}
READING |= {"removeprefix", "removesuffix"}
PATTERNS = {"match", "search", "fullmatch", "sub", "subn", "findall", "finditer"}
ALLOWED = {
    (
        "shared/checks/kinds.py",
        "OF_THE_ALLOCATOR in str(error.args[0])",
    ): "torch's allocator has no error class of its own",
    (
        "autograder/feedback/diagnosis.py",
        "PLACE.match(said['where'])",
    ): "the place of a number is told from the number itself",
    ("shared/checks/kinds.py", "str(error.args[0] if error.args else '').partition(OF_THE_ALLOCATOR)"): "as above",
}
"""Where a text of another program is the only sign there is: file and code -> why."""


def constants(trees: dict[str, ast.Module]) -> dict[str, str]:
    """Names at the top of modules that stand for texts or patterns, with all that these say."""
    found: dict[str, str] = {}
    for tree in trees.values():
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    pairs = zip(names, values, strict=False)
                case ast.Assign(targets=[name], value=value):
                    pairs = zip([name], [value], strict=True)
                case _:
                    continue
            found |= {
                name.id: said for name, value in pairs if isinstance(name, ast.Name) and (said := words_in(value))
            }
    return found


def words_in(value: ast.expr) -> str:
    """The words of a text, of several, or of a pattern; "" for any other value."""
    plain = isinstance(value, ast.Constant | ast.Tuple | ast.Set | ast.JoinedStr | ast.List)
    pattern = isinstance(value, ast.Call) and ast.unparse(value.func) == "re.compile"
    texts = [part.value for part in ast.walk(value) if isinstance(part, ast.Constant)]
    return " ".join(text for text in texts if isinstance(text, str)) if plain or pattern else ""


class Reader:
    """Finds where a function compares a text for people with words.

    A *text* is an attribute, a key or a name of `TEXTS`, `str(error)` of something caught, or a name that was given
    one of these. *Words* are literals, or names of constants, with three letters in a row.
    """

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def findings(self, tree: ast.Module) -> Iterator[str]:
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        seen: set[str] = set()
        for scope in [*functions, tree]:
            caught = {node.name for node in ast.walk(scope) if isinstance(node, ast.ExceptHandler) and node.name}
            given = {arg.arg for arg in getattr(getattr(scope, "args", None), "args", [])}
            caught |= given & {"error"}
            texts = self._names(scope, caught, given & PARAMETERS)
            for node in ast.walk(scope):
                if self._reads(node, texts, caught) and ast.unparse(node) not in seen:
                    seen.add(ast.unparse(node))
                    yield ast.unparse(node)

    def _names(self, scope: ast.AST, caught: set[str], texts: set[str]) -> set[str]:
        while True:
            more = {
                part.id
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign) and self._is_text(node.value, texts, caught)
                for target in node.targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name)
            }
            if more <= texts:
                return texts
            texts |= more

    def _reads(self, node: ast.AST, texts: set[str], caught: set[str]) -> bool:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            return any(self._is_text(one, texts, caught) for one in sides) and any(map(self._is_words, sides))
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            return False
        owner, name, given = node.func.value, node.func.attr, node.args
        if name in READING and self._is_text(owner, texts, caught):
            return bool(given) and self._is_words(given[0])
        if name in PATTERNS and any(self._is_text(one, texts, caught) for one in given):
            module = isinstance(owner, ast.Name) and owner.id == "re"
            return self._is_words(given[0] if module else owner)
        return False

    def _is_text(self, node: ast.AST, texts: set[str], caught: set[str]) -> bool:
        match node:
            case ast.Attribute(attr=attr):
                return attr in TEXTS
            case ast.Subscript(slice=ast.Constant(value=str(key))):
                return key in TEXTS
            case ast.Name(id=name):
                return name in texts
            case ast.Call(func=ast.Name(id="str"), args=[inside]):
                raised = any(isinstance(part, ast.Name) and part.id in caught for part in ast.walk(inside))
                return raised or self._is_text(inside, texts, caught)
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str(key)), *_]):
                return key in TEXTS or self._is_text(value, texts, caught)
            case ast.Call(func=ast.Attribute(value=value, attr="lower" | "strip" | "casefold" | "lstrip" | "rstrip")):
                return self._is_text(value, texts, caught)
            case ast.IfExp(body=one, orelse=two):
                return self._is_text(one, texts, caught) or self._is_text(two, texts, caught)
            case ast.BoolOp(values=values):
                return any(self._is_text(one, texts, caught) for one in values)
        return False

    def _is_words(self, node: ast.AST) -> bool:
        match node:
            case ast.Constant(value=str(text)):
                return _has_words(text)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return any(map(self._is_words, parts))
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return _has_words(self.known.get(name, ""))
        return False


def _has_words(text: str) -> bool:
    letters = "".join(letter if letter.isalpha() else " " for letter in text)
    return any(len(word) >= 3 for word in letters.split())


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in PROGRAM}


def test_no_logic_reads_what_is_written_for_people(trees: dict[str, ast.Module]) -> None:
    reader = Reader(constants(trees))
    found = {(name, code) for name, tree in trees.items() for code in reader.findings(tree)}
    assert found == set(ALLOWED), "\n".join(f"{name}: {code}" for name, code in sorted(found ^ set(ALLOWED)))


PLANTED = """
import re
UNWRITTEN, BEGINS = "not written yet", ("the answer cell: ", "infra")
SLOW = re.compile(r"ran longer than \\d+")

def decide(done, error, test):
    {}
"""


@pytest.mark.parametrize(
    "code",
    [
        "return 'not written yet' in done.message",
        "return UNWRITTEN not in done.check",
        "return done.message.startswith('the answer cell: ')",
        "return test['came'].startswith(BEGINS)",
        "return SLOW.match(done.message)",
        "return re.search('ran longer', done.message)",
        "return 'MiB' in str(error)",
        "said = done.message\n    return said == 'cancelled'",
        "said = done.message if test else ''\n    return said.lower().endswith('handed in')",
        "words = str(error)\n    return words.partition('likely cause')[2]",
        "def first(message):\n        return message.partition('likely cause:')",
        "try:\n        test()\n    except OSError as broken:\n        return 'locked' in str(broken)",
    ],
)
def test_a_planted_comparison_is_found(code: str) -> None:
    tree = ast.parse(PLANTED.format(code))
    assert len(list(Reader(constants({"planted": tree} | {})).findings(tree))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "return done.kind == 'unwritten'",
        "return done.message.partition('\\n')[0]",
        "return done.message == test.message",
        "return 'weeks' in test.parts",
        "return done.verdict in ('PASS', 'FAIL')",
        "return f'the answer cell: {done.message}'",
        "return not done.message",
    ],
)
def test_what_reads_no_words_is_left_alone(code: str) -> None:
    tree = ast.parse(PLANTED.format(code))
    assert list(Reader(constants({"planted": tree})).findings(tree)) == []
