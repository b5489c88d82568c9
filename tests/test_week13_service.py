"""The detector that ships: the exported package, served by a real server on loopback, loaded for a second."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from .training_seeds.names import names_with


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return names_with("week13_realtime_detection")


@pytest.fixture(scope="module")
def package(names: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the lesson exports, with an untrained model for images of 32 x 48 pixels that is sure of everything."""
    folder = tmp_path_factory.mktemp("exported") / "detector"
    folder.mkdir()
    torch.manual_seed(0)
    detector = names["DualHeadDetector"](3, width=8)
    torch.nn.init.constant_(detector.one[-1].bias[:3], 2.0)
    names["export_onnx"](names["OneHead"](detector).eval(), folder / "model.onnx", torch.rand(2, 3, 32, 48))
    names["export_service"](folder)
    return folder


def png(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_server_gives_what_the_model_gives_in_pixels_of_the_image(names: dict[str, Any], package: Path) -> None:
    session = names["session_of"](package / "model.onnx")
    files = [png(96, 64, seed) for seed in range(3)]
    with names["serving"](package) as address, httpx.Client(trust_env=False) as client:
        about = client.get(f"{address}/health").json()
        answers = [client.post(f"{address}/detect", content=file).json() for file in files]
        refused = [client.post(f"{address}/detect", content=bad).status_code for bad in (b"", b"no image")]
        large = client.post(f"{address}/detect", content=bytes(names["LARGEST"] + 1)).status_code
        load = names["load_test"](address, files, seconds=1.0, clients=2)
    assert about == {"input": [3, 32, 48], "classes": ["circle", "square", "triangle"]}
    assert (refused, large) == ([400, 400], 413)
    assert load["failed"] == 0
    assert len(load["latencies_ms"]) >= 2, "every client sent one at least"
    assert all(ms > 0 for ms in load["latencies_ms"])
    for file, answer in zip(files, answers, strict=True):
        assert (answer["width"], answer["height"]) == (96, 64)
        small = np.asarray(Image.open(io.BytesIO(file)).resize((48, 32), Image.Resampling.BILINEAR), dtype=np.float32)
        (scores,), (boxes,) = session.run(["scores", "boxes"], {"images": small.transpose(2, 0, 1)[None] / 255})
        best = scores.max(1)
        order = [k for k in np.argsort(-best, kind="stable") if best[k] > names["SURE_ENOUGH"]]
        assert len(answer["detections"]) == len(order) > 0
        for one, k in zip(answer["detections"], order, strict=True):
            assert one["score"] == pytest.approx(float(best[k]), abs=1e-5)
            assert one["box"] == pytest.approx((2 * boxes[k]).tolist(), abs=1e-3), "twice as wide and high as the input"
            assert one["class"] == about["classes"][scores[k].argmax()]


def test_a_server_that_does_not_start_is_told_at_once(names: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "service.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="did not start"), names["serving"](tmp_path / "broken"):
        pass


def test_the_package_needs_no_torch_and_passes_its_own_tests(package: Path) -> None:
    source = (package / "service.py").read_text(encoding="utf-8")
    modules = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert modules <= {"__future__", "io", "pathlib", "fastapi", "numpy", "onnxruntime", "PIL", "starlette"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "detector"]
    run = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout
    assert {"README.md", "__init__.py", "model.onnx", "service.py", "test_service.py"} <= {
        p.name for p in package.iterdir()
    }
