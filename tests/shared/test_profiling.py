"""`shared.profiling`: counts against closed forms, and timings against a clock that the test turns."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import nn

from shared import profiling
from shared.profiling import Latency


def test_latency_calls_warmup_plus_runs_and_orders_its_percentiles() -> None:
    calls: list[object] = []
    result = profiling.latency(calls.append, "x", warmup=2, runs=7)
    assert calls == ["x"] * 9
    assert result.runs == 7
    assert 0 <= result.p50_ms <= result.p90_ms <= result.p99_ms


def test_latency_is_in_milliseconds_and_leaves_the_warmup_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    durations = iter([100.0, 0.001, 0.002, 0.003])  # seconds; the first is the warm-up's

    def work() -> None:
        nonlocal now
        now += next(durations)

    monkeypatch.setattr("time.perf_counter", lambda: now)
    result = profiling.latency(work, warmup=1, runs=3)
    assert result.runs == 3
    assert (result.p50_ms, result.p90_ms, result.p99_ms) == pytest.approx((2.0, 2.8, 2.98))


def test_latency_waits_for_cuda_before_and_after_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    profiling.latency(lambda: events.append("call"), warmup=1, runs=2)
    assert events == ["call", *["wait", "call", "wait"] * 2]


@pytest.mark.parametrize(("warmup", "runs"), [(3, 0), (-1, 5)])
def test_latency_refuses_impossible_counts(warmup: int, runs: int) -> None:
    with pytest.raises(ValueError, match=f"runs={runs} and warmup={warmup}"):
        profiling.latency(lambda: None, warmup=warmup, runs=runs)


def test_latency_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Latency(1.0, 2.0, 3.0, 4).runs = 5  # type: ignore[misc]


def test_latencies_take_turns_and_keep_the_times_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    order: list[str] = []

    def work(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            nonlocal now
            now += seconds
            order.append(name)

        return call

    monkeypatch.setattr("time.perf_counter", lambda: now)
    found = profiling.latencies({"a": work("a", 0.001), "b": work("b", 0.002)}, warmup=1, runs=3)
    assert order == ["a", "b"] + ["a", "b"] * 3
    assert {name: pytest.approx(time.p50_ms) for name, time in found.items()} == {"a": 1.0, "b": 2.0}
    assert found["a"].runs == 3


def test_latencies_refuse_impossible_counts() -> None:
    with pytest.raises(ValueError, match="runs=0"):
        profiling.latencies({"a": int}, runs=0)


def test_operator_times_name_what_runs_and_put_the_longest_first() -> None:
    x = torch.randn(256, 256)
    spent = profiling.operator_times(lambda x: (x @ x).relu(), x)
    assert {"mm", "relu"} <= set(spent) or {"mm", "clamp_min"} <= set(spent)
    assert list(spent.values()) == sorted(spent.values(), reverse=True)
    assert all(milliseconds > 0 for milliseconds in spent.values())


def test_operator_times_are_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    profiling.operator_times(torch.zeros, 10)
    assert capfd.readouterr() == ("", "")


def test_slope_is_the_exponent_of_a_power_law() -> None:
    sides = (8, 16, 32, 64)
    assert profiling.slope(sides, [7 * side**4 for side in sides]) == pytest.approx(4)
    assert profiling.slope(sides[:2], [5.0, 5.0]) == pytest.approx(0)


@pytest.mark.parametrize(("sizes", "costs"), [((8,), (1,)), ((8, 8), (1, 2)), ((8, 16), (1,)), ((8, 16), (0, 1))])
def test_slope_refuses_what_has_no_slope(sizes: tuple[int, ...], costs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two or more different sizes"):
        profiling.slope(sizes, costs)


def test_flops_of_a_linear_layer_are_two_per_multiply_add() -> None:
    rows, fan_in, fan_out = 5, 12, 7
    layer = nn.Linear(fan_in, fan_out)
    assert profiling.flops(layer, torch.randn(rows, fan_in)) == 2 * rows * fan_in * fan_out
    assert profiling.flops(layer, input=torch.randn(rows, fan_in)) == 2 * rows * fan_in * fan_out


def test_flops_see_the_attention_that_its_fast_path_would_hide() -> None:
    length, width = 10, 16
    layer = nn.MultiheadAttention(width, 4, batch_first=True).eval()
    x = torch.randn(1, length, width)
    with torch.no_grad():
        counted = profiling.flops(layer, x, x, x, need_weights=False)
    assert counted == 8 * length * width**2 + 4 * length**2 * width


@pytest.mark.parametrize("columns", [3, 4], ids=["call succeeds", "call fails"])
@pytest.mark.parametrize("fast_path", [True, False])
def test_flops_leave_the_fast_path_as_it_was(monkeypatch: pytest.MonkeyPatch, fast_path: bool, columns: int) -> None:
    switches = [fast_path]
    monkeypatch.setattr("torch.backends.mha.get_fastpath_enabled", lambda: switches[-1])
    monkeypatch.setattr("torch.backends.mha.set_fastpath_enabled", switches.append)
    with nullcontext() if columns == 3 else pytest.raises(RuntimeError):
        profiling.flops(nn.Linear(3, 2), torch.zeros(1, columns))
    assert switches == [fast_path, False, fast_path]


def test_parameter_count_counts_shared_ones_once_and_can_leave_frozen_ones_out() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = nn.Sequential(first, second, nn.BatchNorm1d(4))  # BatchNorm: 8 parameters, and buffers
    assert profiling.parameter_count(model) == 16 + 4 + 4 + 8
    first.requires_grad_(False)
    assert profiling.parameter_count(model, trainable_only=True) == 4 + 8


def test_peak_memory_is_a_peak_beyond_the_inputs_and_not_a_sum() -> None:
    x = torch.zeros(250, 1000)
    size = x.numel() * x.element_size()

    def one_after_the_other(x: torch.Tensor) -> None:
        for _ in range(3):
            x.clone()

    def all_at_once(x: torch.Tensor) -> list[torch.Tensor]:
        return [x.clone() for _ in range(3)]

    assert profiling.peak_memory(one_after_the_other, x) == pytest.approx(size, rel=0.01)
    assert profiling.peak_memory(all_at_once, x) == pytest.approx(3 * size, rel=0.01)


def test_peak_memory_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    profiling.peak_memory(torch.zeros, 10)
    assert capfd.readouterr() == ("", "")


def test_table_aligns_numbers_right_and_text_left() -> None:
    rows = [
        {"name": "tiny", "FLOPs": 1234567, "p50 ms": 0.123456, "note": "ok"},
        {"name": "a larger one", "FLOPs": 8, "p50 ms": 12345.6},
    ]
    assert profiling.table(rows, title="Cost").splitlines() == [
        "Cost",
        "name              FLOPs  p50 ms  note",
        "------------  ---------  ------  ----",
        "tiny          1,234,567  0.1235  ok",
        "a larger one          8  12,346",
    ]


def test_table_without_title_starts_with_its_header_and_keeps_strings() -> None:
    lines = profiling.table([{"share": "7.50 %"}, {"share": True}]).splitlines()
    assert lines == ["share", "------", "7.50 %", "True"]


def test_table_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        profiling.table([])


@pytest.mark.parametrize("no_gradient", [nullcontext, torch.no_grad, torch.inference_mode])
def test_flops_agree_with_torchs_own_counter(no_gradient: Callable[[], AbstractContextManager[None]]) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.GELU(), nn.Flatten(2), nn.Linear(49, 32))
    block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    with no_gradient():
        images = torch.randn(2, 3, 16, 16)
        with FlopCounterMode(display=False) as theirs:
            block(model(images))
        assert profiling.flops(lambda: block(model(images))) == theirs.get_total_flops() > 0


def test_flops_do_not_import_the_compiler() -> None:
    code = """
import sys, torch
from shared import profiling
assert profiling.flops(torch.nn.Linear(2, 3), torch.ones(1, 2)) == 12
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
