"""bubblewrap: what a sandbox can see, and whether this machine can make one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
GUEST = sorted(path.name for path in (PACKAGE / "engine" / "guest").glob("*.py"))
VISIBLE = ("__init__.py", "engine/__init__.py", *(f"engine/guest/{name}" for name in GUEST))
"""The files of this package that a sandbox sees: the folder `guest`, and what makes it a package."""
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")
LOADER = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
DEVICES = ("null", "random", "urandom")  # a mapping of zero would be shared memory that nobody counts
CODE = "/workbook"
"""Where the helper package and the learner's side of the engine lie inside."""


def runtime_folders() -> list[Path]:
    """Where Python and its packages lie, without folders inside others of the list."""
    found = {Path(sys.base_prefix), Path(sys.prefix), *(Path(sysconfig.get_path(n)) for n in ("stdlib", "purelib"))}
    resolved = sorted({path.resolve() for path in found} | found)
    inside = [p for p in resolved if any(p != other and p.is_relative_to(other) for other in resolved)]
    return [p for p in resolved if p not in inside and not p.is_relative_to("/usr")]


def command(python: list[str], environment: Mapping[str, str]) -> list[str]:
    """The bubblewrap command that runs `python` (a command line) in a sandbox, with these variables and few others."""
    words = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    if os.getuid() == 0:
        words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"]
    else:
        words += ["--unshare-user"]
    for path in (*SYSTEM, *LOADER):
        if Path(path).is_symlink():
            words += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            words += ["--ro-bind", path, path]
    parents: dict[Path, None] = {}
    binds = [(path, path) for path in runtime_folders()]
    binds += [(PACKAGE / name, Path(CODE, "autograder", name)) for name in VISIBLE]
    binds += [(PACKAGE.parent / "shared", Path(CODE, "shared"))]
    for _, inside in binds:
        parents |= dict.fromkeys(reversed(inside.parents[:-1]))  # bubblewrap itself would make them unreadable
    words += ["--perms", "1777", "--size", str(64 * 2**20), "--tmpfs", "/tmp"]  # before what may lie in it
    for parent in (*parents, Path("/dev"), Path("/dev/shm"), Path("/proc")):
        words += ["--perms", "0755", "--dir", str(parent)]
    for outside, inside in binds:
        words += ["--ro-bind", str(outside), str(inside)]
    for name in DEVICES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    words += ["--proc", "/proc", "--remount-ro", "/"]
    environment = {
        **environment,
        "HOME": "/tmp",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": CODE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    for name, value in environment.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", "/tmp", "--", *python]


def missing() -> str:
    """Why this machine cannot make a sandbox; "" when it can."""
    if sys.platform != "linux":
        return "sandboxes need Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu: apt install bubblewrap)"
    probe = "from autograder.engine.guest import isolation; isolation.leave_namespaces(); print('yes')"
    done = subprocess.run(command([sys.executable, "-c", probe], {}), capture_output=True, text=True, check=False)
    if done.stdout.strip() != "yes":
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        return f"this system does not let bubblewrap make namespaces ({reason})"
    return ""
