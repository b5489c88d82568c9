"""Attacks that make the judge itself fail: a submission that cannot be judged is never graded, and keeps its old grade.

With the defense off the judge believes shapes, looks at what it got, and keeps as much as comes. Where the message
is read then, and the process that sent it ends itself, the verdict is CRASH.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from autograder.execution import warm_process
from autograder.execution.job import Mode
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from .harness import Case, Played, honest_ones, play, with_honest
from .lesson import HONEST
from .test_protocol import SOCKET, inside

CARELESS = """
import json
from contextlib import nullcontext
from autograder.engine.guest import arrays, wire
from autograder.engine import handles, judge, validate
validate.reply_of = lambda reply, number: (reply[1] == 'gave', reply[2]) if reply[0] == number else None
validate.error_texts = lambda fields: {key: fields[key] for key in ('base', 'name', 'text', 'where', 'kind', 'subject')}
validate.are_names = lambda found, wanted: set(found) <= set(wanted)
validate.is_printed = lambda text: isinstance(text, str)
def is_cell_result(done):
    datas = [output['data'] for output in done['outputs'] if 'data' in output and output['metadata'] == {}]
    return all(kind in ('text/plain', 'image/png') for data in datas for kind in data)
validate.is_cell_result = is_cell_result
judge.encoded = lambda value: json.dumps(value).encode()
judge.MAX_SHOWN = 2**62
handles.GIVE_OBJECTS = ('call', 'names', 'run', 'end')
handles.MAX_RECEIVED = 2**62
handles.Handle.__hash__ = lambda self: hash(('handle', self._number))
handles._is_number = lambda value: isinstance(value, int)
wire.too_much = lambda skeleton: ''
wire.MAX_OBJECTS = arrays.MAX_EMPTY = 2**62
def anywhere(self, begin, size): return self.buffers[begin:begin + size]
wire._Unpacker._bytes = anywhere
"""
FORGE = (
    SOCKET
    + """
from autograder.engine.guest import learner_process
real = learner_process._reply
def message(tree, arrays=b''):
    skeleton = msgpack.packb(tree, unicode_errors='surrogatepass')
    return struct.pack('>I', len(skeleton)) + skeleton + arrays
def forge(operation, value, arrays=b'', word='gave'):
    "From now on this is the reply to each request of this kind."
    def reply(request, objects, shell):
        number, asked = learner_process._Reader(request, objects).load()[:2]
        return message(['l', number, word, value], arrays) if asked == operation else real(request, objects, shell)
    learner_process._reply = reply
HANDLE = ['h', 7, 'x', True]
def meeting(text):
    "A handle with the hash of a text, for those that have one."
    mask, one, two, five = 2**64 - 1, 11400714785074694791, 14029467366897019727, 2870177450012600261
    def turned(number, bits): return (number << bits | number >> (64 - bits)) & mask
    first = turned((five + hash('handle') % 2**64 * two) & mask, 31) * one & mask
    last = (hash(text) - (2 ^ five ^ 3527539)) % 2**64 * pow(one, -1, 2**64) % 2**64
    lane = (turned(last, 33) - first) % 2**64 * pow(two, -1, 2**64) % 2**64
    number = lane - 2**64 if lane >= 2**63 else lane
    assert hash(('handle', number)) == hash(text)
    return ['h', number, 'x', True]
def cell(*outputs, **error):
    whole = {'kind': '', 'subject': ''} | error
    found = ['d', *(part for pair in whole.items() for part in pair)] if error else None
    return ['d', 'outputs', ['l', *outputs], 'error', found]
def shown(*data): return ['d', 'output_type', 'display_data', 'metadata', ['d'], 'data', ['d', *data]]
"""
)
RIGHT = HONEST["double"]
KEYS, KINDS, SIZE = "only plain texts are keys", "types are compared exactly", "sizes are counted as a file holds them"
GROWTH = "what a message becomes is counted before it is made"


@dataclass(frozen=True)
class Fault(Case):
    """An attack on the judge's own health."""

    off: str = "INFRA INFRA"
    on: str = "TAMPERED TAMPERED"


CASES = [
    Fault("key-that-compares", "an object of the learner's as a key, which raises where it meets another", KEYS,
        "answer(cell(['d', 'output_type', 'display_data', 'data', ['d'], meeting('metadata'), ['d']]))",
        says="wrong content|unknown"),
    Fault("handle-among-kinds", "an object of the learner's as a kind of output", KEYS,
        "answer(cell(shown(HANDLE, 'x')))", says="wrong content|unknown"),
    Fault("list-of-kinds", "a list as a text", KINDS,
        "answer(['d', 'outputs', ['l', ['d', 'data', 5]], 'error', None])", says="unknown result"),
    Fault("array-for-a-word", "an array where a word is expected, which is neither true nor false", KINDS,
        "send(['l', asked(), ['N', '|b1', [2], 0, 2], 5], b'ab')\nos._exit(0)", says="nobody asked for"),
    Fault("handle-for-a-number", "an object of the learner's where a number is expected", KINDS,
        "send(['l', HANDLE, 'gave', cell()])\nos._exit(0)", says="unknown tag|nobody asked for"),
    Fault("text-for-a-reply", "a reply without parts", KINDS, "send(5)\nos._exit(0)", says="nobody asked for"),
    Fault("error-of-another-shape", "an error that is a number, in a cell", KINDS,
        "answer(['d', 'outputs', ['l'], 'error', 5])", says="unknown result"),
    Fault("error-without-name", "an error that lacks a part, in a cell", KINDS, "answer(cell(line=5))",
        says="unknown result"),
    Fault("cell-without-outputs", "a result that lacks a part", KINDS, "answer(['d', 'error', None])",
        says="unknown result"),
    Fault("number-for-names", "a number in place of names", KINDS, f"forge('names', 5)\n{RIGHT}",
        whole=False, says="names that nobody asked for"),
    Fault("emoji-at-the-end", "text at the end of each test, twelve bytes a letter where the judge passes it on", SIZE,
        f"forge('end', '🎓' * 2_000_000)\n{RIGHT}", whole=False, says="unknown end"),
    Fault("letters-at-the-end", "the same in one message, as a text of NumPy's", KINDS,
        "forge('end', ['n', '<U12000000', [], 0, 48_000_000], '🎓'.encode('utf-32-le') * 12_000_000)\n" + RIGHT,
        whole=False, says="unknown end"),
    Fault("emoji-in-cells", "text of cells, within every number of letters", SIZE,
        "forge('run', cell({'a': 1} and ['d', 'output_type', 'stream', 'name', 'stdout', 'text', '\\0' * 7_900_000]))\n"
        + RIGHT, off="PASS PASS", on="PASS PASS", proof="\0" * 7_900_000, whole=False, says="unknown result"),
    Fault("many-parts-of-a-check", "a failed check of sixty thousand parts", KINDS,
        "parts = [part for n in range(60_000) for part in (str(n), '')]\n"
        "answer(cell(name='CheckFailure', message='', line=1, check=['d', *parts]))", off="FAIL FAIL",
        says="unknown result"),
    Fault("line-of-many-digits", "the number of a line that no file can hold", KINDS,
        "answer(cell(name='x', message='', line=['i', '9' * 4300], check=None))", off="ERROR ERROR",
        says="unknown result"),
    Fault("name-of-a-megabyte", "the name of an error's class as a million letters", SIZE,
        "answer(cell(name='x' * 10**6, message='', line=1, check=None))", off="ERROR ERROR", says="unknown result"),
    Fault("picture-that-is-a-page", "marks of a page in place of a picture", "pictures are base64",
        """forge('run', cell(shown('image/png', '"><script>')))\n""" + RIGHT, off="PASS PASS", on="PASS PASS",
        whole=False, proof='"><script>', says="unknown result"),
    Fault("one-array-many-times", "forty megabytes of the judge's memory for one", GROWTH,
        inside("send(['l', asked(), 'gave', ['l', *[['N', '|u1', [2**20], 0, 2**20]] * 40]], bytes(2**20))\n"
        "    os._exit(0)"), off="CRASH CRASH", says="out of order"),
    Fault("lists-of-nothing", "a thousand million empty lists for twenty bytes", GROWTH,
        inside("answer(['N', '<f8', [2**30, 0], 0, 0])"), off="CRASH CRASH", says="enormous dimensions"),
    Fault("handles-without-number", "twenty thousand handles in one reply", GROWTH,
        inside("answer(['l', *[['h', n, 'x', True] for n in range(1, 20_001)]])"), off="CRASH CRASH",
        says="more than 16,384"),
    Fault("list-of-a-million-sets", "three hundred thousand empty sets for a megabyte", GROWTH,
        inside("answer(['l', *[['s']] * 300_000])"), off="CRASH CRASH", says="containers"),
]  # fmt: skip


@pytest.fixture(scope="module")
def careless() -> Iterator[Team]:
    """Sandboxes around the answers, and a judge that takes what comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_process, "WARM_UP_JUDGE", warm_process.WARM_UP_JUDGE + CARELESS)
        with Team(2, mode=Mode.SANDBOX) as team:
            yield team


CLASS = with_honest({case.name: {case.exercise: FORGE + case.code} for case in CASES}, HONEST)


@pytest.fixture(scope="module")
def off(careless: Team, plain: Notebooks) -> dict[str, Played]:
    return play(careless, plain, CLASS)


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return play(sandbox, plain, CLASS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_ends_a_careless_judge_ends_the_learners_process_alone(
    case: Case, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said[:2000]
    assert case.proof in off[case.name].shown or repr(case.proof)[1:-1] in off[case.name].shown
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said[:2000]
    assert "INFRA" not in on[case.name].said
    others = [name for name in HONEST if name != case.exercise]
    assert [on[case.name].verdicts(name) for name in others] == ["PASS PASS"] * 2 or not case.whole
    assert re.search(case.says, on[case.name].said), on[case.name].said[:2000]


def test_honest_learners_get_what_they_get_beside_a_judge_under_attack(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))


@pytest.mark.parametrize("operation", ["run", "names", "end"])
def test_a_message_that_keeps_the_judge_busy_is_a_timeout_wherever_it_comes(
    sandbox: Team, plain: Notebooks, operation: str
) -> None:
    """Keys with one hash, each compared with all before it: outside of a test, too, an alarm ends that."""
    keys = "['d', *(part for n in range(2**20, 2**20 + 100_000) for part in (['i', str(n * (2**61 - 1))], 1))]"
    code = FORGE + f"forge({operation!r}, {keys})\n" + RIGHT
    name = "quadruple" if operation == "run" else "double"
    played = play(sandbox, plain, {"busy": HONEST | {"double": code}})["busy"]
    assert played.verdicts(name) == "TIMEOUT TIMEOUT", played.said[:2000]


@pytest.mark.parametrize(("code", "verdict"), [("while True: pass", "TIMEOUT"), ("os._exit(3)", "CRASH")])
def test_a_process_that_does_not_come_to_an_end_of_a_test_costs_that_test(
    sandbox: Team, plain: Notebooks, code: str, verdict: str
) -> None:
    hook = f"def end(request, objects, shell):\n    if b'\\x8c\\x03end' in request:\n        {code}\n"
    hook += "    return real(request, objects, shell)\nlearner_process._reply = end\n"
    played = play(sandbox, plain, {"never": HONEST | {"double": FORGE + hook + RIGHT}})["never"]
    assert played.verdicts("double") == f"{verdict} {verdict}", played.said[:2000]
