"""Attacks by code that finds its socket: what breaks the rules is TAMPERED, and ends the learner's process alone.

With the defense off the judge trusts what it gets: it then ends itself (INFRA), shows scripts or gives points away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from autograder.engine.guest import wire
from autograder.execution import warm_process
from autograder.execution.job import Mode
from autograder.execution.pool import Team
from autograder.week.notebooks import Notebooks

from .harness import Case, Played, honest_ones, play, with_honest
from .lesson import HONEST

TRUSTING = """
import builtins
from autograder.engine import handles, judge
from autograder.engine.guest import wire
class Trusting(handles.Learner):
    def _exchange(self, message, ready=False):
        self.channel.limit = 2**62
        if not ready: self.channel.send(message)
        return wire.unpack(self.channel.receive(), self._resolve)
    def _reply(self, operation, arguments):
        released, self.released, self._count = self.released, [], self._count + 1
        state = {"random": None, "gradients": False}
        reply = self._exchange(self._request((self._count, operation, arguments, released, state)))
        return reply[1] == "gave", reply[2]
    def run(self, source): return self._reply("run", source)[1] | {"seconds": 0.0}
    def names(self, wanted): return self._reply("names", list(wanted))[1]
    def end_of_test(self): return self._reply("end", None)[1]
    def _error(self, fields): return getattr(builtins, fields["base"])(fields["text"])
judge.Learner = Trusting
"""
"""A judge that checks nothing."""
SOCKET = """
import os, socket, stat, struct, sys, time, msgpack
for number in range(3, 256):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode): break
    except OSError: continue
wire = socket.socket(fileno=os.dup(number))
def raw(body): wire.sendall(struct.pack('>Q', len(body)) + body)
def send(tree, arrays=b''):
    skeleton = msgpack.packb(tree)
    raw(struct.pack('>I', len(skeleton)) + skeleton + arrays)
def asked():
    "The number of the request that is being answered."
    frame = sys._getframe()
    while frame.f_code.co_name != '_reply': frame = frame.f_back
    return frame.f_locals['number']
def read(size):
    data = b''
    while len(data) < size: data += wire.recv(size - len(data))
    return data
def answer(value, what='gave'):
    "A reply that the real one does not follow."
    send(['l', asked(), what, value])
    os._exit(0)
def show(**output):
    "From now on this is what every cell shows."
    from autograder.engine.guest import learner_process
    real = learner_process.run_cell
    learner_process.run_cell = lambda *a: real(*a) | {'outputs': [output]}
"""
HEAD, SHAPE, ORDER = "what cannot be read ends the process that sent it", "sizes are checked", "numbered replies"
EMPTY = "send(['l', asked(), 'gave', ['d', 'outputs', ['l'], 'error', None]])\n"
"""A good reply to the question for the cell."""


@dataclass(frozen=True)
class Breach(Case):
    """An attack on the protocol."""

    off: str = "INFRA INFRA"
    on: str = "TAMPERED TAMPERED"


def inside(code: str) -> str:
    """An answer that does this when it is called."""
    return f"def double(number):\n    {code}\n    return 0"


CASES = [
    Breach("noise", "a judge that stumbles over bytes that mean nothing", HEAD, "raw(b'\\xff' * 64)"),
    Breach("no-head", "a judge that reads beyond a message", HEAD, "raw(b'ab')"),
    Breach("false-head", "a judge that reads beyond a message", HEAD, "raw(struct.pack('>I', 1000) + b'short')"),
    Breach("endless-message", "a judge that waits for 2**60 bytes", "messages above 128 MiB are not read",
        "wire.sendall(struct.pack('>Q', 2**60))\nos._exit(0)", says=f"message of {2**60} bytes"),
    Breach("deep-message", "a judge whose stack overflows", "MessagePack's and the wire's limits of depth",
        "raw(struct.pack('>I', 10**5 + 1) + b'\\x91' * 10**5 + b'\\xc0')"),
    Breach("nested-message", "the same, below MessagePack's own limit", "containers nested deeper than 32 are refused",
        "deep = ['l']\nfor _ in range(100): deep = ['l', deep]\nanswer(deep)", says="nested too deep"),
    Breach("unknown-tag", "a judge that makes an object of the learner's choice", "a closed list of tags",
        "answer(['__reduce__', 'os.system'])", says="wrong content|unknown"),
    Breach("unhashable-key", "a judge that fails where a dict has a list for a key", HEAD,
        inside("answer(['d', ['l'], 1])"), says="wrong content"),
    Breach("array-outside", "a judge that shows memory beyond the message", SHAPE,
        inside("answer(['N', '<f8', ['l', 4], 0, 32])")),
    Breach("array-shape", "a judge that takes 8 bytes for 2**40 numbers", SHAPE,
        inside("answer(['N', '<f8', [2**39, 2], 0, 0])"), says="shape"),
    Breach("array-of-objects", "a judge that takes bytes for pointers", "numbers, text and times are the only dtypes",
        inside("answer(['N', '|O', [0], 0, 0])"), says="unknown dtype"),
    Breach("a-reply-twice", "a result for a question that comes later", ORDER,
        EMPTY + HONEST["double"], says="nobody asked for"),
    Breach("a-reply-early", "a result for the next question", ORDER,
        inside("send(['l', asked() + 1, 'gave', 6])"), says="nobody asked for"),
    Breach("a-reply-unasked", "a result that no question belongs to", ORDER,
        inside("send(['l', 10**6, 'gave', 4])"), says="nobody asked for"),
    Breach("a-child-that-answers", "two processes that answer, one of them right", ORDER,
        inside("if not os.fork(): send(['l', asked(), 'gave', number * 2]); os._exit(0)\n    os.wait()"),
        says="nobody asked for"),
    Breach("closed-socket", "a judge that waits for nobody", "the end of a connection is the end of the process",
        "os.closerange(3, 256)", on="CRASH CRASH"),
    Breach("no-cell-result", "a judge that fails on a result of the wrong kind",
        "the result of a cell has a known shape",
        "answer(['d', 'outputs', 5, 'error', None])", says="unknown result"),
    Breach("script", "a script that runs in the instructor's browser", "text and pictures are all that is shown",
        "show(output_type='display_data', metadata={}, data={'text/html': '<script>'})\n" + HONEST["double"],
        off="PASS PASS", on="PASS PASS", proof="<script>", says="TAMPERED.*unknown result"),
    Breach("flood", "megabytes of output in the graded notebook", "what a cell shows is measured by the judge too",
        "show(output_type='stream', name='stdout', text='x' * 7_000_000)\n" + HONEST["double"],
        off="PASS PASS", on="PASS PASS", proof="x" * 7_000_000, says="TAMPERED.*unknown result"),
    Breach("error-for-a-cell", "a judge that raises what the learner wants", "an error there is no reply",
        "answer(['d', 'base', 'SystemExit', 'name', 'x', 'text', 'x', 'where', '', 'kind', '', 'subject', ''], "
        "'raised')"),
    Breach("error-without-words", "a judge that fails on an error of the wrong kind", "an error has six texts",
        inside("answer(5, 'raised')"), says="without words"),
    Breach("eval-for-an-error", "code of the learner's in the judge, by an error whose class is `eval`",
        "an error is a built-in exception by name, or Exception",
        "from autograder.engine.guest import learner_process\n"
        "learner_process.describe = lambda error: {'base': 'eval', 'name': 'x', 'where': '', 'kind': '', 'subject': '',"
        " 'text': \"setattr(__import__('shared.checks').checks, 'step',"
        " lambda title: __import__('contextlib').suppress(BaseException))\"}\n"
        + inside("1 / 0"),
        off="FAIL PASS", on="FAIL FAIL"),
    Breach("broken-shell", "a submission that cannot be graded and keeps its old grade", "an error there is no reply",
        "get_ipython().run_cell = None\n" + HONEST["double"], on="PASS PASS"),
    Breach("unasked-names", "`checks` of the learner's in the judge", "names that were not asked for are refused",
        EMPTY + "number, handle = asked(), ['h', 7, 'x', True]\nwhile True:\n"
        "    question = read(struct.unpack('>Q', read(8))[0])\n    number += 1\n    gave = handle\n"
        "    if b'\\x8c\\x05names' in question: gave = ['d', 'twice', handle, 'checks', handle]\n"
        "    if b'\\x8c\\x03end' in question: gave = ''\n    send(['l', number, 'gave', gave])",
        off="ERROR PASS", exercise="twice", says="names that nobody asked for"),
]  # fmt: skip


@pytest.fixture(scope="module")
def trusting() -> Iterator[Team]:
    """Sandboxes around the answers, and a judge that checks nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_process, "WARM_UP_JUDGE", warm_process.WARM_UP_JUDGE + TRUSTING)
        with Team(2, mode=Mode.SANDBOX) as team:
            yield team


CLASS = with_honest({case.name: {case.exercise: SOCKET + case.code} for case in CASES}, HONEST)


@pytest.fixture(scope="module")
def off(trusting: Team, plain: Notebooks) -> dict[str, Played]:
    return play(trusting, plain, CLASS)


@pytest.fixture(scope="module")
def on(sandbox: Team, plain: Notebooks) -> dict[str, Played]:
    return play(sandbox, plain, CLASS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_rule_breaks_a_trusting_judge_and_is_tampering(
    case: Case, off: dict[str, Played], on: dict[str, Played]
) -> None:
    assert off[case.name].verdicts(case.exercise) == case.off, off[case.name].said
    assert case.proof in off[case.name].shown
    assert on[case.name].verdicts(case.exercise) == case.on, on[case.name].said
    assert re.search(case.says, on[case.name].said)


def test_honest_learners_get_what_they_get_without_tampering(on: dict[str, Played]) -> None:
    for one in honest_ones(on):
        assert one.plain == dict.fromkeys(one.plain, ("PASS", "", ()))


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MAX_DEPTH", [[[[[[1]]]]]], "nested deeper than 4"),
        ("MAX_SKELETON", "x" * 5_000, "besides its arrays"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_is_made(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: object, words: str
) -> None:
    """A result that is too deep or too large: it fits while the limit is far away."""
    assert wire.unpack(wire.pack(value)) == value
    monkeypatch.setattr(wire, limit, 4)
    with pytest.raises(wire.TooLargeError, match=words):
        wire.pack(value)


def test_a_message_that_keeps_the_judge_busy_is_a_timeout(sandbox: Team, plain: Notebooks) -> None:
    """Whole numbers with one hash: each is compared with all before it, for minutes; an alarm ends the test."""
    code = "answer(['s', *(['i', str(n * (2**61 - 1))] for n in range(2**20, 2**20 + 150_000))])"
    played = play(sandbox, plain, {"busy": HONEST | {"double": SOCKET + inside(code)}})["busy"]
    assert played.verdicts("double") == "TIMEOUT TIMEOUT"
