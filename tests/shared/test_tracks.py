"""`datasets.tracking_sequence` against its own ground truth, its statistics and a visibility counted in pixels."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from shared import datasets
from shared.data import tracks

USUAL = datasets.tracking_sequence(seed=2)
LONG = datasets.tracking_sequence(frames=400, n_objects=25, seed=3)


def same(one: datasets.TrackingSequence, other: datasets.TrackingSequence, part: str) -> bool:
    """Whether all arrays of `gt` or `det` are equal."""
    pairs = list(zip(getattr(one, part), getattr(other, part), strict=True))
    return all(np.array_equal(a[name], b[name]) for a, b in pairs for name in a)


def detected(sequence: datasets.TrackingSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of all true detections of a sequence: visibility (N,), score (N,), error of the edges in pixels (N, 4)."""
    visibility, scores, errors = [], [], []
    for truth, found in zip(sequence.gt, sequence.det, strict=True):
        true = found["source"] >= 0
        row = np.searchsorted(truth["ids"], found["source"][true])
        visibility.append(truth["visibility"][row])
        scores.append(found["scores"][true])
        errors.append(found["boxes"][true] - truth["boxes"][row])
    return np.concatenate(visibility), np.concatenate(scores), np.concatenate(errors)


def test_types_shapes_and_ranges() -> None:
    assert (len(USUAL.gt), len(USUAL.det), USUAL.size) == (120, 120, (320, 240))
    for truth, found in zip(USUAL.gt, USUAL.det, strict=True):
        g, d = len(truth["ids"]), len(found["source"])
        arrays: dict[str, np.ndarray] = {**found, "truth": truth["boxes"]}  # type: ignore[dict-item]
        arrays |= {"ids": truth["ids"], "visibility": truth["visibility"]}
        kinds = {name: (value.shape, value.dtype) for name, value in arrays.items()}
        assert kinds == {
            "ids": ((g,), np.int64),
            "truth": ((g, 4), np.float32),
            "visibility": ((g,), np.float32),
            "boxes": ((d, 4), np.float32),
            "scores": ((d,), np.float32),
            "embeddings": ((d, 16), np.float32),
            "source": ((d,), np.int64),
        }
        assert ((found["scores"] > 0) & (found["scores"] < 1)).all()
        assert (found["boxes"][:, :2] <= found["boxes"][:, 2:]).all()
        assert np.linalg.norm(found["embeddings"], axis=1) == pytest.approx(np.ones(d), abs=1e-5)
    with pytest.raises(FrozenInstanceError):
        USUAL.gt = []  # type: ignore[misc]


def test_same_seed_same_sequence_another_seed_another_and_no_global_state() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    again = datasets.tracking_sequence(seed=2)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002
    assert same(USUAL, again, "gt")
    assert same(USUAL, again, "det")
    assert not same(datasets.tracking_sequence(frames=5, seed=4), datasets.tracking_sequence(frames=5, seed=5), "gt")


def test_objects_stay_inside_keep_their_size_move_on_and_never_come_back() -> None:
    seen: dict[int, list[tuple[int, np.ndarray]]] = {}
    for t, truth in enumerate(LONG.gt):
        assert (np.diff(truth["ids"]) > 0).all()
        assert (truth["boxes"][:, :2] >= 0).all()
        assert (truth["boxes"][:, 2:] <= np.array(LONG.size) + 1e-3).all()
        for one, box in zip(truth["ids"], truth["boxes"], strict=True):
            seen.setdefault(int(one), []).append((t, box))
    assert set(seen) == set(range(25))
    for stretch in seen.values():
        times, boxes = np.array([t for t, _ in stretch]), np.stack([box for _, box in stretch])
        assert (np.diff(times) == 1).all()
        extent = boxes[:, 2:] - boxes[:, :2]
        assert extent == pytest.approx(np.broadcast_to(extent[0], extent.shape), abs=1e-3)
        steps = np.linalg.norm(np.diff(boxes[:, :2], axis=0), axis=1)
        assert np.median(steps) > 0.3
        assert steps.max() < 10
    late = sum(stretch[0][0] > 0 for stretch in seen.values())
    early = sum(stretch[-1][0] < 399 for stretch in seen.values())
    assert 0 < late < 25
    assert 0 < early < 25


def test_visibility_is_what_a_count_of_points_finds() -> None:
    hidden = 0
    for truth in LONG.gt[::40]:
        for i, box in enumerate(truth["boxes"]):
            x = np.linspace(box[0], box[2], 201)[:-1] + (box[2] - box[0]) / 400
            y = np.linspace(box[1], box[3], 201)[:-1] + (box[3] - box[1]) / 400
            free = np.ones((200, 200), dtype=bool)
            for left, top, right, bottom in truth["boxes"][i + 1 :]:
                free &= ~(((top <= y) & (y < bottom))[:, None] & ((left <= x) & (x < right))[None, :])
            assert truth["visibility"][i] == pytest.approx(free.mean(), abs=0.02)
            hidden += bool(truth["visibility"][i] < 1)
    assert hidden > 20, "objects hide each other"


def test_visibility_of_boxes_worked_by_hand() -> None:
    box = np.array([0, 0, 4, 2], np.float32)
    front = np.array([[0, 0, 2, 2], [1, 0, 3, 1], [9, 9, 10, 10]], np.float32)
    assert tracks._visible(box, front) == 3 / 8
    assert tracks._visible(box, front[:0]) == 1
    assert tracks._visible(box, box[None]) == 0


def test_without_noise_drops_and_false_positives_the_detections_are_the_visible_objects() -> None:
    sequence = datasets.tracking_sequence(drop=0, false_positives=0, noise=0, seed=6)
    unseen = 0
    for truth, found in zip(sequence.gt, sequence.det, strict=True):
        enough = truth["visibility"] >= tracks.LEAST_DETECTED
        order = np.argsort(found["source"])
        assert np.array_equal(found["source"][order], truth["ids"][enough])
        assert np.array_equal(found["boxes"][order], truth["boxes"][enough])
        unseen += int((~enough).sum())
    assert unseen > 0


def test_the_order_of_detections_does_not_tell_the_ids() -> None:
    rising = [bool((np.diff(found["source"]) > 0).all()) for found in USUAL.det]
    assert np.mean(rising) < 0.05


@pytest.mark.parametrize("drop", [0.0, 0.1, 0.5, 1.0])
def test_drop_is_the_share_of_missing_detections(drop: float) -> None:
    sequence = datasets.tracking_sequence(drop=drop, seed=7)
    visible = sum(int((truth["visibility"] >= tracks.LEAST_DETECTED).sum()) for truth in sequence.gt)
    assert 1 - len(detected(sequence)[0]) / visible == pytest.approx(drop, abs=0.04)


@pytest.mark.parametrize("mean", [0.0, 0.3, 3.0])
def test_false_positives_is_their_mean_number_in_a_frame(mean: float) -> None:
    # Ten seeds, and four standard errors of a Poisson mean over 2000 frames: one seed alone can be far off.
    sequences = [
        datasets.tracking_sequence(frames=200, n_objects=2, false_positives=mean, seed=seed) for seed in range(10)
    ]
    found = [frame for sequence in sequences for frame in sequence.det]
    counts = [int((frame["source"] == -1).sum()) for frame in found]
    assert np.mean(counts) == pytest.approx(mean, abs=4 * np.sqrt(mean / 2000))
    wrong = np.concatenate([frame["boxes"][frame["source"] == -1] for frame in found])
    assert ((wrong >= 0) & (wrong <= np.tile(sequences[0].size, 2))).all()


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_noise_is_the_deviation_of_a_whole_object_and_more_where_it_is_covered(noise: float) -> None:
    visibility, _, errors = detected(datasets.tracking_sequence(frames=400, n_objects=25, noise=noise, seed=9))
    assert errors[visibility == 1].std(axis=0) == pytest.approx(np.full(4, noise), rel=0.1)
    assert errors[visibility == 1].mean(axis=0) == pytest.approx(np.zeros(4), abs=0.1)
    assert errors[visibility < 0.4].std() == pytest.approx(2.5 * noise, rel=0.15)


def test_scores_fall_with_occlusion() -> None:
    visibility, scores, _ = detected(LONG)
    assert scores[visibility == 1].mean() == pytest.approx(0.85, abs=0.02)
    assert scores[visibility < 0.4].mean() == pytest.approx(0.38, abs=0.04)


def test_embeddings_know_the_object_and_less_of_a_covered_one() -> None:
    looks: dict[int, list[np.ndarray]] = {}
    for truth, found in zip(LONG.gt, LONG.det, strict=True):
        clear = set(truth["ids"][truth["visibility"] == 1].tolist())
        for one, vector in zip(found["source"].tolist(), found["embeddings"], strict=True):
            if one in clear:
                looks.setdefault(one, []).append(vector)
    means = {one: np.mean(vectors, axis=0) for one, vectors in looks.items()}
    own = {True: [], False: []}  # type: dict[bool, list[float]]
    for truth, found in zip(LONG.gt, LONG.det, strict=True):
        visibility = dict(zip(truth["ids"].tolist(), truth["visibility"].tolist(), strict=True))
        for one, vector in zip(found["source"].tolist(), found["embeddings"], strict=True):
            if one >= 0:
                own[visibility[one] == 1].append(float(vector @ means[one] / np.linalg.norm(means[one])))
    names = sorted(means)
    between = np.stack([means[one] / np.linalg.norm(means[one]) for one in names])
    apart = (between @ between.T)[~np.eye(len(names), dtype=bool)]
    assert np.mean(own[True]) > 0.9 > np.mean(own[False]) > np.mean(apart) + 0.3


def test_the_detector_does_not_change_how_objects_move() -> None:
    other = datasets.tracking_sequence(drop=0.5, false_positives=2, noise=4, seed=2)
    assert same(USUAL, other, "gt")
    assert not same(USUAL, other, "det")


def test_width_and_height_are_told_apart() -> None:
    wide = datasets.tracking_sequence(size=(500, 90), seed=1)
    ends = np.concatenate([truth["boxes"] for truth in wide.gt])
    assert ends[:, 3].max() <= 90 + 1e-3
    assert 90 < ends[:, 2].max() <= 500 + 1e-3


def test_one_frame_and_no_objects() -> None:
    assert len(datasets.tracking_sequence(frames=1).gt) == 1
    empty = datasets.tracking_sequence(frames=3, n_objects=0, false_positives=0)
    assert [truth["boxes"].shape for truth in empty.gt] == [(0, 4)] * 3
    assert [found["embeddings"].shape for found in empty.det] == [(0, 16)] * 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"frames": 0}, "frames"),
        ({"n_objects": -1}, "n_objects"),
        ({"size": (63, 240)}, "size"),
        ({"size": (320, 63)}, "size"),
        ({"drop": -0.1}, "drop"),
        ({"drop": 1.1}, "drop"),
        ({"drop": float("nan")}, "drop"),
        ({"false_positives": -1}, "false_positives"),
        ({"false_positives": float("nan")}, "false_positives"),
        ({"noise": -0.5}, "noise"),
        ({"noise": float("inf")}, "noise"),
    ],
)
def test_refuses(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        datasets.tracking_sequence(**options)  # type: ignore[arg-type]
