"""torchvision's weight files: from its cache, or downloaded into it, the full hash checked either way."""

from __future__ import annotations

import hashlib
import http.client
import queue
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from layerdiff.errors import InputError

__all__ = ["DownloadFailedError", "fetch"]

_CHUNK = 1 << 20
_SLOWEST = 10_000  # bytes a second: slower than this is taken for no network


class DownloadFailedError(InputError):
    """A file that is not in the cache and could not be downloaded either.

    Args:
        file: its name.
        reason: what went wrong, in a few words.
        url: where it was looked for.
    """

    def __init__(self, file: str, reason: str, url: str) -> None:
        super().__init__(
            f"weights: {file} could not be downloaded, got {reason}, expected the file from {url}",
            help="without a network, use --weights synthetic, or name a file of your own",
        )
        self.file = file
        self.reason = reason


def fetch(url: str, *, patience: float = 5.0, on_progress: Callable[[str], None] | None = None) -> Path:
    """Returns the path of the file at `url` in torch's cache, downloaded first where it is not there.

    The proxies of the environment are used. A download half done leaves nothing behind.

    Args:
        url: the file's name ends in `-` and the first digits of its SHA-256, as torchvision's do.
        patience: how many seconds to wait for an answer, and then for each piece.
        on_progress: told what is being downloaded, a line every ten megabytes.

    Raises:
        DownloadFailedError: there is no answer in time, or not the file.
        InputError: the file in the cache is not the one published.

    Source:
        torch.hub.load_state_dict_from_url, whose cache this is; torch.hub waits for ever and does not check a file
        that is already there.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    try:
        if not (cached := path.exists()):
            _download(url, path, patience, on_progress or (lambda line: None))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadFailedError(path.name, _reason(error), url) from error
    if cached:
        _check_cached(path)

    return path


def _download(url: str, path: Path, patience: float, tell: Callable[[str], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    digest = hashlib.sha256()
    try:
        with _open(url, patience) as answer, partial.open("xb") as file:
            total = int(answer.headers.get("Content-Length", 0))
            for piece in _pieces(answer, patience, lambda done: tell(_progress(path.name, done, total))):
                digest.update(piece)
                file.write(piece)
        if not digest.hexdigest().startswith(_published_digits(path)):
            raise ValueError(f"a file with SHA-256 {digest.hexdigest()[:16]}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _open(url: str, patience: float) -> http.client.HTTPResponse:
    """Opens `url` within `patience` seconds: in a thread, since looking a name up obeys no timeout."""
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def connect() -> None:
        request = urllib.request.Request(url, headers={"User-Agent": "layerdiff"})
        try:
            # an opener of its own: urlopen would keep the proxies that it found the first time
            answer = urllib.request.build_opener().open(request, timeout=patience)
        except Exception as error:
            answers.put(error)
            return
        if given_up.is_set():
            answer.close()
        answers.put(answer)

    threading.Thread(target=connect, daemon=True, name="layerdiff download").start()
    try:
        answer = answers.get(timeout=patience)
    except queue.Empty:
        given_up.set()
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer

    return answer


def _pieces(answer: http.client.HTTPResponse, patience: float, tell: Callable[[int], None]) -> Iterator[bytes]:
    started, done, told = time.monotonic(), 0, 0
    tell(0)
    while piece := answer.read1(_CHUNK):
        done += len(piece)
        if done - told >= 10 * _CHUNK:
            told = done
            tell(done)
        if time.monotonic() - started > patience and done < _SLOWEST * patience:
            raise TimeoutError
        yield piece


def _check_cached(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read, got {error.strerror or error}, expected a weights file") from error
    if not found.startswith(_published_digits(path)):
        raise InputError(
            f"{path}: not the file torchvision published, got SHA-256 {found}, expected {_published_digits(path)}...",
            help="delete it, and it will be downloaded again",
        )


def _published_digits(path: Path) -> str:
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if found is None:
        raise ValueError(f"no hash in the name {path.name}")
    return found.group(1)


def _progress(name: str, done: int, total: int) -> str:
    size = f" of {total / 1e6:.0f}" if total else ""
    return f"downloading {name}: {done / 1e6:.0f}{size} MB"


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP status {error.code}"
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return str(inner) or type(inner).__name__
