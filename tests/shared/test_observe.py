"""`shared.observe`: what it reports about a function, and that it changes nothing."""

from __future__ import annotations

import functools
import importlib
import io
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attend

from shared import observe

ROOT = Path(__file__).parents[2]
SDPA = "torch.nn.functional.scaled_dot_product_attention"
MHA = "torch.nn.MultiheadAttention"
BOUND_EARLIER = {"fast": F.scaled_dot_product_attention}
TOKENS = torch.ones(2, 3, 4)
NO_COMPILER = """
import sys, torch
from shared import observe
assert observe.operator_count(lambda x: x @ x.T + 1, torch.ones(3, 2)) > 0
print(sorted(name for name in sys.modules if name.startswith("torch._dynamo")))
"""


# ---- operator counts


def gram(tokens: torch.Tensor) -> torch.Tensor:
    return tokens @ tokens.T


def looped_gram(tokens: torch.Tensor) -> torch.Tensor:
    return torch.stack([tokens @ token for token in tokens])


def test_the_count_of_a_matrix_product_does_not_depend_on_the_length() -> None:
    counts = {observe.operator_count(gram, torch.ones(length, 4)) for length in (2, 5, 50)}
    assert len(counts) == 1
    assert min(counts) >= 1


def test_the_count_of_a_loop_grows_with_the_length() -> None:
    counts = [observe.operator_count(looped_gram, torch.ones(length, 4)) for length in (2, 5, 50)]
    assert counts[1] - counts[0] >= 3
    assert counts[2] - counts[1] >= 45


def test_a_known_count() -> None:
    assert observe.operator_count(lambda a, b: a + b * 2, torch.ones(3), torch.ones(3)) == 2
    assert observe.operator_count(lambda: None) == 0


def test_counting_changes_no_result_and_ends_with_an_error() -> None:
    seen = []
    observe.operator_count(lambda x: seen.append(x.exp()), torch.zeros(2))
    assert seen[0].tolist() == [1.0, 1.0]
    with pytest.raises(ZeroDivisionError):
        observe.operator_count(lambda x: x.exp() / (1 // 0), torch.zeros(2))
    assert observe.operator_count(torch.exp, torch.zeros(2)) == 1


def test_counting_does_not_import_the_compiler() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", NO_COMPILER], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "[]\n"


# ---- gradients


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


def test_gradients_worked_by_hand() -> None:
    # d/dx sum(x_i^2 cos i) = 2 x_i cos i; d/db sum(x_i^2 cos i * b_i) likewise
    x, b = leaf(1.0, 2.0, 3.0), leaf(2.0, 2.0, 2.0)
    cosines = torch.arange(3.0).cos()
    of_x, of_b = observe.gradients(lambda x, b: x**2 * b, x, b)
    torch.testing.assert_close(of_x, 2 * x.detach() * b.detach() * cosines)
    torch.testing.assert_close(of_b, x.detach() ** 2 * cosines)


def test_the_weights_run_over_all_entries_of_the_first_output() -> None:
    x = torch.ones(2, 2, requires_grad=True)
    (found,) = observe.gradients(lambda x: (x * 3, x * 100), x)
    torch.testing.assert_close(found, 3 * torch.arange(4.0).cos().reshape(2, 2))
    (found,) = observe.gradients(lambda x: [x * 3], x)
    torch.testing.assert_close(found, 3 * torch.arange(4.0).cos().reshape(2, 2))


def test_a_softmax_has_a_gradient_that_is_not_zero_by_symmetry() -> None:
    (found,) = observe.gradients(lambda x: x.softmax(-1), torch.zeros(4, requires_grad=True))
    assert found.abs().max() > 0.1


def test_only_tensors_that_require_gradients_get_one() -> None:
    x, plain = leaf(1.0), torch.ones(1)
    found = observe.gradients(lambda x, plain, factor: x * plain * factor, x, plain, 5)
    assert [g.tolist() for g in found] == [[5.0]]


def test_an_unused_argument_gives_none() -> None:
    found = observe.gradients(lambda a, b: a * 2, leaf(1.0), leaf(1.0))
    assert found[0].tolist() == [2.0]
    assert found[1] is None


def test_an_output_that_depends_on_nothing_gives_none() -> None:
    assert observe.gradients(lambda a, b: (a * b).detach(), leaf(1.0), leaf(1.0)) == (None, None)


def test_gradients_leave_the_tensors_of_the_caller_alone() -> None:
    x = leaf(1.0, 2.0)
    observe.gradients(lambda x: x * x.detach().mul_(3), x)
    assert x.grad is None
    assert x.tolist() == [1.0, 2.0]


# ---- arguments


def test_arguments_changed_in_place_are_seen_and_those_of_the_caller_stay() -> None:
    def scale(query: torch.Tensor, factor: int, key: torch.Tensor) -> torch.Tensor:
        query *= factor
        return query @ key

    query, key = torch.ones(2), leaf(1.0, 2.0)
    seen = observe.arguments_after(scale, query, 3, key)
    assert [t.tolist() for t in seen] == [[3.0, 3.0], [1.0, 2.0]]
    assert not any(t.requires_grad for t in seen)
    assert query.tolist() == [1.0, 1.0]
    assert key.requires_grad


def test_arguments_that_stay_are_equal() -> None:
    (after,) = observe.arguments_after(torch.exp, torch.ones(3))
    assert after.tolist() == [1.0, 1.0, 1.0]


# ---- calls


class Layer(nn.Module):
    attend = staticmethod(F.scaled_dot_product_attention)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attend(x, x, x)


@pytest.mark.parametrize(
    "fn",
    [
        F.scaled_dot_product_attention,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(query=q, key=k, value=v),
        lambda q, k, v: attend(q, k, v),
        lambda q, k, v: BOUND_EARLIER["fast"](q, k, v),
        lambda q, k, v: getattr(F, "scaled_dot_product" + "_attention")(q, k, v),
        lambda q, k, v: Layer()(q),
        lambda q, k, v: [attend(q, k, v) for _ in range(2)],
        lambda q, k, v: list(map(attend, [q], [k], [v])),
        functools.partial(F.scaled_dot_product_attention, is_causal=True),
        lambda q, k, v: functools.partial(attend, q, k)(v),
    ],
    ids=[
        "itself", "module", "full name", "from-import", "bound earlier", "getattr", "class attribute", "comprehension",
        "map", "partial", "partial inside",
    ],
)  # fmt: skip
def test_attention_is_seen_through_any_alias(fn: Callable[..., Any]) -> None:
    assert observe.calls_among([SDPA], fn, [TOKENS, TOKENS, TOKENS]) == [SDPA]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_library_module_is_seen_in_train_and_eval_mode(training: bool, tracked: bool) -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True).train(training)
    with torch.set_grad_enabled(tracked):
        assert observe.calls_among([MHA], layer, [TOKENS, TOKENS, TOKENS]) == [MHA]
        assert observe.calls_among([MHA], lambda x: layer(x, x, x, need_weights=False), [TOKENS]) == [MHA]


def test_a_library_module_is_seen_when_it_is_made_or_subclassed() -> None:
    class Own(nn.MultiheadAttention):
        pass

    assert observe.calls_among([MHA], lambda: nn.MultiheadAttention(4, 2)) == [MHA]
    assert observe.calls_among([MHA], lambda: Own(4, 2)) == [MHA]


def test_right_answers_are_not_suspected() -> None:
    def by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1) @ nn.Linear(4, 4)(v)

    names = [SDPA, MHA, "torch.nn.functional.multi_head_attention_forward"]
    assert observe.calls_among(names, by_hand, [TOKENS, TOKENS, TOKENS]) == []
    assert observe.calls_among(names, lambda: F.scaled_dot_product_attention) == [], "to name is not to call"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("torch.softmax", lambda: torch.softmax(TOKENS, -1)),
        ("torch.Tensor.softmax", lambda: TOKENS.softmax(-1)),
        ("torch.nn.functional.softmax", lambda: F.softmax(TOKENS, -1)),
        ("torch.nn.Softmax", lambda: nn.Softmax(-1)(TOKENS)),
        ("torch.nn.functional.max_pool2d", lambda: F.max_pool2d(TOKENS, 2)),
        ("numpy.broadcast_shapes", lambda: np.broadcast_shapes((1, 2), (3, 1))),
        ("numpy.linalg.norm", lambda: np.linalg.norm(np.ones(3))),
        ("numpy.einsum", lambda: np.einsum("i->", np.ones(3))),
    ],
)
def test_functions_of_torch_and_numpy_are_seen(name: str, call: Callable[[], Any]) -> None:
    assert observe.calls_among([name], call) == [name]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("torch.nn.functional.max_pool2d", lambda: F.max_pool1d(TOKENS, 2)),
        ("torch.softmax", lambda: torch.log_softmax(TOKENS, -1)),
        ("numpy.linalg.norm", lambda: np.linalg.det(np.eye(2))),
        ("numpy.broadcast_shapes", lambda: np.broadcast_to(1, (2, 3))),
    ],
)
def test_their_siblings_are_not(name: str, call: Callable[[], Any]) -> None:
    assert observe.calls_among([name], call) == []


def test_functions_and_classes_of_scikit_learn() -> None:
    from sklearn import metrics, preprocessing, utils

    def shuffled() -> Any:
        return utils.shuffle([1, 2], random_state=0)

    assert observe.calls_among(["sklearn.utils.shuffle"], shuffled) == ["sklearn.utils.shuffle"]
    accuracy = "sklearn.metrics.accuracy_score"
    assert observe.calls_among([accuracy], metrics.accuracy_score, [[1, 0], [1, 1]]) == [accuracy]
    scaler = "sklearn.preprocessing.StandardScaler"
    assert observe.calls_among([scaler, accuracy], lambda: preprocessing.StandardScaler()) == [scaler]


def test_another_function_of_scikit_learn_is_not_suspected() -> None:
    from sklearn import metrics

    assert observe.calls_among(["sklearn.metrics.accuracy_score"], metrics.confusion_matrix, [[1, 0], [1, 1]]) == []


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library `late` with a module `late.part` that nobody has imported."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "__init__.py").write_text("import os\n\ndef top():\n    return 1\n")
    part = "from math import comb\n\ndef one():\n    return comb(4, 2)\n\n\ndef two():\n    return 2\n"
    (tmp_path / "late" / "part.py").write_text(part)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("late", "late.part"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("late")
def test_a_library_that_nobody_imported_stays_so() -> None:
    assert observe.calls_among(["late.top", "late.part.one"], lambda: None) == []
    assert "late" not in sys.modules
    importlib.import_module("late")
    assert observe.calls_among(["late.top", "late.part.one"], lambda: None) == []
    assert "late.part" not in sys.modules


@pytest.mark.usefixtures("late")
def test_a_call_of_a_library_that_is_imported_for_it() -> None:
    names = ["late.part.two", "late.top", "late.part.one", "late.part.comb"]
    found = observe.calls_among(names, lambda: importlib.import_module("late.part").one())
    assert found == ["late.part.one", "late.part.comb"]  # comb is written in C


@pytest.mark.usefixtures("late")
def test_a_call_of_a_module_whose_library_was_imported_before() -> None:
    importlib.import_module("late")
    names = ["late.part.two", "late.top", "late.part.one"]
    assert observe.calls_among(names, lambda: importlib.import_module("late.part").two()) == ["late.part.two"]


def test_each_name_is_reported_once_in_the_order_asked() -> None:
    names = ["torch.exp", "torch.sin", "torch.cos"]
    found = observe.calls_among(names, lambda x: [torch.cos(x), torch.exp(x), torch.cos(x)], [TOKENS])
    assert found == ["torch.exp", "torch.cos"]


def test_arguments_and_options_reach_the_function() -> None:
    seen: list[Any] = []
    observe.calls_among([], lambda *args, **options: seen.append((args, options)), (1, 2), {"c": 3})
    assert seen == [((1, 2), {"c": 3})]


@pytest.mark.parametrize("name", ["torch.nn.functional.nope", "nosuchlibrary.nope", "torch.nope.deeper", "nope"])
def test_a_name_that_does_not_exist(name: str) -> None:
    ran: list[int] = []
    with pytest.raises(ValueError, match=f"^there is no {name}$"):
        observe.calls_among(["torch.exp", name], lambda: ran.append(1))
    assert ran == []


@pytest.mark.parametrize("fails", [False, True])
def test_the_profile_function_is_restored(fails: bool) -> None:
    def mine(*_: object) -> None: ...

    before = sys.getprofile()
    sys.setprofile(mine)
    try:
        if fails:
            with pytest.raises(ZeroDivisionError):
                observe.calls_among([SDPA], lambda: 1 // 0)
        else:
            observe.calls_among([SDPA], lambda: None)
        after = sys.getprofile()
    finally:
        sys.setprofile(before)
    assert after is mine


def line(frozen: bool = False) -> nn.Linear:
    """2 x, with one weight."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2.0)
    return module.requires_grad_(not frozen)


def test_after_a_step_follows_the_gradient_by_hand() -> None:
    """Loss x0 w cos 0 + x1 w cos 1 with x = (1, 3): the slope is 1 + 3 cos 1."""
    x = torch.tensor([[1.0], [3.0]])
    before, after = observe.after_a_step(line(), x, rate=0.1)
    weight = 2 - 0.1 * (1 + 3 * math.cos(1))
    torch.testing.assert_close(before, 2 * x)
    torch.testing.assert_close(after, weight * x)
    assert not before.requires_grad
    assert not after.requires_grad


def test_after_a_step_what_is_frozen_or_unused_does_not_move() -> None:
    x = torch.ones(1, 1)
    both = nn.ModuleList([line(), line(frozen=True)])

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts, self.unused = both, nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
            return self.parts[0](x) + self.parts[1](x), "its first item counts"

    before, after = observe.after_a_step(Sum(), x, rate=0.5)
    assert (before.item(), after.item()) == (4.0, 3.5)
    frozen = line(frozen=True)
    before, after = observe.after_a_step(frozen, x, rate=0.5)
    assert before.item() == after.item() == 2.0


class Loader(nn.Linear):
    """Loads in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__(1, 1, bias=False)
        self.way = way

    def load(self, state: dict[str, torch.Tensor]) -> None:
        value = state.pop("w") if self.way == "pops" else state["w"]
        if self.way == "changes":
            state["w"] = value + 1
        if self.way == "renews":
            self.weight = nn.Parameter(value.clone())
        self.load_state_dict({"weight": value}, assign=self.way == "keeps")


@pytest.mark.parametrize(
    ("way", "second", "lost", "filled"),
    [
        ("copies", 3.0, [], True),
        ("keeps", 0.0, [], False),
        ("renews", 3.0, [], False),
        ("pops", 3.0, ["w"], True),
        ("changes", 3.0, ["w"], True),
    ],
)
def test_after_loading_says_what_was_kept_lost_and_filled(
    way: str, second: float, lost: list[str], filled: bool
) -> None:
    state = {"w": torch.full((1, 1), 3.0)}
    first, then, names, same = observe.after_loading(Loader(way), "load", state, torch.ones(1, 1))
    assert (first.item(), then.item(), names, same) == (3.0, second, lost, filled)


def test_devices_away_tells_code_that_stays_on_the_device_from_code_that_does_not() -> None:
    layer, rows = nn.Linear(3, 2), torch.ones(4, 3)
    assert observe.devices_away(lambda m, x: (m(x), [x.sum()], 3), layer, rows) == ["meta", "meta"]
    assert observe.devices_away(lambda pair: pair[0] + torch.eye(3, device=pair[1].device), (rows[:3], rows)) == [
        "meta"
    ]
    assert observe.devices_away(lambda x: x.cpu(), rows) == ["cpu"]
    assert observe.devices_away(lambda x: torch.zeros(2), rows) == ["cpu"]
    with pytest.raises(RuntimeError):
        observe.devices_away(lambda x: x[:3] + torch.eye(3), rows)
    assert layer.weight.device.type == "cpu"


WRITERS: dict[str, Callable[[Path, str], object]] = {
    "path": lambda file, text: file.write_text(text),
    "path with utf-8": lambda file, text: file.write_text(text, encoding="utf-8"),
    "path opened": lambda file, text: file.open("w").write(text),
    "bytes": lambda file, text: file.write_bytes(text.encode()),
    "open": lambda file, text: open(file, "w", newline="").write(text),  # noqa: SIM115, PTH123
    "open with utf-8": lambda file, text: open(file, "w", encoding="utf-8").write(text),  # noqa: SIM115, PTH123
    "open for bytes": lambda file, text: open(file, "wb").write(text.encode()),  # noqa: SIM115, PTH123
}


@pytest.mark.parametrize("way", WRITERS)
def test_text_files_without_an_encoding_hold_only_ascii_in_an_ascii_locale(way: str, tmp_path: Path) -> None:
    file, write, before = tmp_path / "text", WRITERS[way], (open, io.text_encoding)
    observe.in_ascii_locale(write, file, "plain")
    assert file.read_text(encoding="utf-8") == "plain"
    if way in ("path", "path opened", "open"):
        with pytest.raises(UnicodeEncodeError):
            observe.in_ascii_locale(write, file, "gr\u00fcn")
    else:
        observe.in_ascii_locale(write, file, "gr\u00fcn")
        assert file.read_text(encoding="utf-8") == "gr\u00fcn"
    assert (open, io.text_encoding) == before


def test_reading_in_an_ascii_locale(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("gr\u00fcn".encode())
    with pytest.raises(UnicodeDecodeError):
        observe.in_ascii_locale(lambda: (tmp_path / "text").read_text())
    assert observe.in_ascii_locale(lambda: (tmp_path / "text").read_text(encoding="utf-8")) == "gr\u00fcn"
