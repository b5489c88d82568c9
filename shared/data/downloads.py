"""Fetch one file: what is there stays, what broke off goes on where it stopped, what arrives is checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 1 << 20


def fetch(url: str, path: Path, md5: str, *, timeout: float = 30) -> Path:
    """Bring `url` to `path`, unless a file with this checksum is there already.

    The part that has arrived is kept as `path` with `.part` behind its name; the next call goes on from there,
    or begins anew where the server cannot resume.

    Args:
        url: what to fetch, over http or https.
        path: where to put it; its folder is made.
        md5: the checksum that the whole file must have, as its publisher gives it.
        timeout: seconds to wait for the server.

    Returns:
        `path`.

    Raises:
        OSError: no network, no such file, the connection broke off, or what arrived has another checksum.
    """
    from contextlib import suppress
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    if path.is_file() and checksum(path) == md5:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.is_file() else 0
    if not (have and checksum(part) == md5):
        request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        with urlopen(request, timeout=timeout) as answer, part.open("ab" if answer.status == 206 else "wb") as file:
            wanted = int(answer.headers.get("Content-Length") or 0)
            arrived = 0
            with suppress(HTTPException):  # some versions of Python raise where the connection ends too early
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    arrived += len(chunk)
        if arrived < wanted:
            raise OSError(f"{url} broke off after {part.stat().st_size:,} bytes; call again to go on from there")
    if checksum(part) != md5:
        part.unlink()
        raise OSError(f"{url} arrived with another checksum than {md5} and was thrown away; call again")
    part.replace(path)
    return path


def checksum(path: Path) -> str:
    """MD5 of a file, as 32 hexadecimal digits. It finds damage, not malice."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
