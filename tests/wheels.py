"""Which platforms the pinned packages have wheels for, and how much each downloads: `python -m tests.wheels`.

Asks the package index that uv is set up with; installs nothing. Prints the table of docs/installing.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from .chosen import ROOT

PLATFORMS = {
    "Linux x86-64, glibc 2.28 or newer": "x86_64-manylinux_2_28",
    "Linux ARM64, glibc 2.28 or newer": "aarch64-manylinux_2_28",
    "macOS 14 or newer, Apple silicon": "aarch64-apple-darwin",
    "macOS, Intel": "x86_64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "Windows ARM64": "aarch64-pc-windows-msvc",
}
MACOS = "14.0"
VERSIONS = ("3.11", "3.12", "3.13")


def download(platform: str, version: str) -> int | None:
    """Bytes of all wheels, dependencies of the pinned ones too; None where something has no wheel."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "pylock.toml"
        command = ["uv", "pip", "compile", "requirements.txt", "--quiet", "--format", "pylock.toml", "-o", str(lock)]
        words = ["--only-binary", ":all:", "--python-platform", platform, "--python-version", version]
        done = subprocess.run([*command, *words], cwd=ROOT, env=_environment(), capture_output=True, check=False)
        if done.returncode == 1:
            return None
        done.check_returncode()
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return sum(max(wheel["size"] for wheel in package["wheels"]) for package in packages if "wheels" in package)


def _environment() -> dict[str, str]:
    tools = str(Path(sys.executable).parent)
    return os.environ | {"MACOSX_DEPLOYMENT_TARGET": MACOS, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def main() -> None:
    print("| platform | " + " | ".join(f"Python {version}" for version in VERSIONS) + " |")
    print("| --- |" + " --- |" * len(VERSIONS))
    for name, platform in PLATFORMS.items():
        cells = []
        for version in VERSIONS:
            size = download(platform, version)
            cells.append("no" if size is None else f"yes, {size / 1e9:.1f} GB")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
