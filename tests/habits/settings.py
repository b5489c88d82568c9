"""Habits that change settings of the process in a scratch cell."""

from __future__ import annotations

from .kinds import Habit
from .notebook import new

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
