"""`shared.profiles`: the environment variable decides, and a wrong one is explained."""

import threading

import pytest
import torch

from shared.profiles import budget
from shared.runtime import profiles
from shared.runtime.profiles import Profile


@pytest.mark.parametrize("value", [None, ""])
def test_the_default_is_cpu(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("PROFILE", raising=False)
    else:
        monkeypatch.setenv("PROFILE", value)
    assert profiles.current() is Profile.CPU
    assert profiles.pick(cpu=500, gpu=2000) == 500
    assert profiles.device() == torch.device("cpu")


def test_gpu_picks_the_gpu_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "gpu")
    assert profiles.current() is Profile.GPU
    assert profiles.pick(cpu="small", gpu="large") == "large"


@pytest.mark.parametrize("value", ["GPU", "cuda", "cpu "])
def test_an_unknown_profile_names_itself_and_the_choices(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PROFILE", value)
    with pytest.raises(ValueError, match="is not a profile") as error:
        profiles.pick(cpu=1, gpu=2)
    for part in (repr(value), "'cpu'", "'gpu'", "PROFILE=gpu"):
        assert part in str(error.value)


def test_gpu_without_cuda_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"sees no CUDA device.*set PROFILE=cpu"):
        profiles.device()


def test_gpu_with_cuda_is_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"a fast one ({device})")
    assert profiles.device() == torch.device("cuda")
    assert "profile gpu | cuda (a fast one (cuda))" in profiles.describe()


def test_describe_is_one_line_of_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "cpu")
    line = profiles.describe()
    assert "\n" not in line
    for fact in ("profile cpu", f"torch {torch.__version__}", f"{torch.get_num_threads()} threads"):
        assert fact in line


def test_work_side_by_side_gives_its_results_in_order_and_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROFILE", raising=False)
    meet = threading.Barrier(2, timeout=20)  # breaks unless two are at work at the same time

    def work(number: int) -> int:
        meet.wait()
        return number * number

    assert profiles.side_by_side(work, range(4)) == [0, 1, 4, 9]


def test_on_a_gpu_one_follows_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILE", "gpu")
    threads = profiles.side_by_side(lambda _: threading.get_ident(), range(4))
    assert len(set(threads)) == 1


def test_an_error_of_work_side_by_side_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        profiles.side_by_side(lambda number: 1 // number, [1, 0, 2])


def test_models_that_train_side_by_side_end_as_they_would_alone() -> None:
    def trained(seed: int) -> list[float]:
        draw = torch.Generator().manual_seed(seed)
        weight = torch.randn(16, 16, generator=draw).requires_grad_()
        optimizer = torch.optim.Adam([weight], lr=0.1)
        for _ in range(20):
            loss = (torch.randn(32, 16, generator=draw) @ weight).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return weight.flatten().tolist()

    assert profiles.side_by_side(trained, range(4)) == [trained(seed) for seed in range(4)]


def test_a_loop_shows_how_far_it_is_on_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = range(3)
    monkeypatch.delenv("PROFILE", raising=False)
    assert profiles.track(steps, "training") is steps
    monkeypatch.setenv("PROFILE", "gpu")
    assert [*profiles.track(steps, "training")] == [0, 1, 2]
    assert capsys.readouterr() == ("", ""), "it was over at once"
    monkeypatch.setattr(profiles, "SECONDS_WITHOUT_BAR", 0.0)
    assert [*profiles.track(steps, "training")] == [0, 1, 2]
    shown = capsys.readouterr()
    assert (shown.out, "training" in shown.err, "3/3" in shown.err) == ("", True, True)


def test_a_budget_is_that_of_the_cell_where_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBOOK_MINUTES", raising=False)
    monkeypatch.delenv("WORKBOOK_SEED", raising=False)
    found = budget(minutes=3)
    assert (found.factor, found.seed) == (1.0, 0)
    assert (found.scaled(700), found.scaled(5000, at_most=50_000), found.scaled(90, at_most=40)) == (700, 5000, 40)


def test_a_budget_scales_with_the_minutes_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_MINUTES", "12")
    monkeypatch.setenv("WORKBOOK_SEED", "7")
    found = budget(minutes=3)
    assert (found.factor, found.seed) == (4.0, 7)
    assert (found.scaled(700), found.scaled(20_000, at_most=50_000)) == (2800, 50_000)
    monkeypatch.setenv("WORKBOOK_MINUTES", "0.001")
    assert budget(minutes=3).scaled(700) == 1


@pytest.mark.parametrize("value", ["0", "-3", "inf", "nan", "many"])
def test_minutes_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WORKBOOK_MINUTES", value)
    with pytest.raises(ValueError, match=value):
        budget(minutes=3)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", "CIFAR-10: not measured here.\n  this would: PROFILE=gpu make lab\n"),
        ("over 75 %", "CIFAR-10: not measured here (target: over 75 %).\n  this would: PROFILE=gpu make lab\n"),
    ],
)
def test_what_is_not_measured_says_what_would(capsys: pytest.CaptureFixture[str], target: str, expected: str) -> None:
    profiles.not_measured("CIFAR-10", "PROFILE=gpu make lab", target=target)
    assert capsys.readouterr().out == expected
