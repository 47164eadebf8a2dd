"""torchvision's files: the cache, the hash, and every way in which there is no network."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import time
from functools import partial

import pytest
import torch

from layerdiff.errors import InputError
from layerdiff.reference import download, load_weights, state_dict

CONTENT = b"weights" * 100_000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of torch's, and no proxies."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server():
    """Serves CONTENT under every name; the first part of the path says how."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            how = self.path.split("/")[1]
            if how == "missing":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000] if how in ("short", "stalled", "slow") else CONTENT)
            while how == "slow":
                time.sleep(0.05)
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return
            if how == "stalled":
                self.wfile.flush()
                time.sleep(1.5)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def silent():
    """A port of this machine that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed():
    """A port of this machine where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def test_download_then_cache(server, cache):
    """A file is downloaded once, told about, checked, and then found in torch's cache without a network."""
    told = []
    url = f"{server}/good/net-{DIGITS}.pth"
    path = download.fetch(url, on_progress=told.append)

    assert path == cache / f"net-{DIGITS}.pth"
    assert path.read_bytes() == CONTENT
    assert told == [f"downloading net-{DIGITS}.pth: 0 of 1 MB"]
    assert download.fetch(f"http://127.0.0.1:1/net-{DIGITS}.pth") == path


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "got HTTP status 404"),
        ("short", "got a file with SHA-256"),
        ("stalled", "got no answer in time"),
        ("slow", "got no answer in time"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server, cache, refusal, how, said):
    """Not found, cut short, stalled or hopelessly slow: said within the patience, and no file stays behind."""
    started = time.monotonic()
    text = refusal(download.fetch, f"{server}/{how}/net-{DIGITS}.pth", patience=0.3)

    assert said in text
    assert f"net-{DIGITS}.pth could not be downloaded" in text
    assert "help: without a network, use --weights synthetic" in text
    assert time.monotonic() - started < 1.4
    assert list(cache.iterdir()) == []


def test_the_wrong_file_is_not_kept(server, cache, refusal):
    """A page of a hotel's network in place of the file is not taken for it."""
    assert "got a file with SHA-256" in refusal(download.fetch, f"{server}/good/net-00000000.pth")
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(server, cache):
    """Ctrl-C half-way leaves no file."""

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch(f"{server}/good/net-{DIGITS}.pth", on_progress=interrupt)
    assert list(cache.iterdir()) == []


def test_a_cached_file_with_another_hash_is_refused(cache, refusal):
    """A damaged file in the cache is never loaded: both hashes are said, and what to delete, also by `auto`."""
    cache.mkdir(parents=True)
    path = cache / "resnet18-f37072fd.pth"
    path.write_bytes(CONTENT)
    for spec in ("imagenet1k_v1", "auto"):
        text = refusal(load_weights, spec, "resnet18")
        assert f"{path}: not the file torchvision published" in text
        assert f"got SHA-256 {hashlib.sha256(CONTENT).hexdigest()}, expected f37072fd..." in text
        assert "help: delete it" in text
    assert path.exists()


def test_a_cached_file_that_cannot_be_read(cache, refusal):
    """A directory in its place does not escape as an OSError."""
    (cache / "resnet18-f37072fd.pth").mkdir(parents=True)

    assert "got Is a directory" in refusal(load_weights, "imagenet1k_v1", "resnet18")


def test_the_cache_is_loaded_and_named(cache, resnet18, monkeypatch):
    """The file in the cache is loaded as any checkpoint, and `source` names the record and the file."""
    cache.mkdir(parents=True)
    path = cache / "resnet18-f37072fd.pth"
    torch.save(state_dict(resnet18), path)
    monkeypatch.setattr(download, "_published_digits", lambda _: hashlib.sha256(path.read_bytes()).hexdigest())
    for spec in ("imagenet1k_v1", "IMAGENET1K_V1", "auto"):
        weights = load_weights(spec, "resnet18")
        assert weights.sha256 == resnet18.sha256
        assert weights.source == "torchvision ResNet18_Weights.IMAGENET1K_V1 (resnet18-f37072fd.pth)"
        assert (weights.spec, weights.fallback) == (spec, None)


def test_no_network_for_published_weights(closed, monkeypatch, refusal):
    """Asked for by name, they are not replaced: the message says what failed and what else there is."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed}")
    text = refusal(load_weights, "imagenet1k_v1", "resnet18")

    assert "resnet18-f37072fd.pth could not be downloaded, got Connection refused, expected the file from https" in text
    assert "--weights synthetic" in text


def test_auto_falls_back_and_says_so(closed, monkeypatch, resnet18):
    """Without a network `auto` is synthetic:0, and carries the sentence to say first."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed}")
    weights = load_weights("auto", "resnet18")

    assert weights.sha256 == resnet18.sha256
    assert weights.spec == "auto"
    assert weights.source == "synthetic weights, seed 0"
    assert weights.notes[0] == weights.fallback
    assert weights.fallback == (
        "Not torchvision's weights: resnet18-f37072fd.pth could not be downloaded (Connection refused), "
        "so these are synthetic:0."
    )


def test_a_proxy_that_never_answers(silent, monkeypatch):
    """A network that swallows everything is given up on in time."""
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent}")
    monkeypatch.setattr(download, "fetch", partial(download.fetch, patience=0.3))
    started = time.monotonic()

    assert "(no answer in time)" in load_weights("auto", "resnet18").fallback
    assert time.monotonic() - started < 3


def test_a_name_server_that_never_answers(monkeypatch):
    """Looking a name up obeys no timeout of a socket's, and is given up on all the same."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1.2) or [])
    started = time.monotonic()
    with pytest.raises(InputError, match="no answer in time"):
        download.fetch(f"https://example.invalid/net-{DIGITS}.pth", patience=0.3)

    assert time.monotonic() - started < 1


def test_patience_is_five_seconds(monkeypatch):
    """Within seconds means within five."""
    seen = []
    monkeypatch.setattr(
        download, "_open", lambda url, patience: seen.append(patience) or (_ for _ in ()).throw(OSError)
    )
    with pytest.raises(InputError):
        load_weights("imagenet1k_v1", "resnet18")

    assert seen == [5.0]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    """Where no cache can be made, `auto` falls back rather than fails."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))

    assert "Not a directory" in load_weights("auto", "resnet18").fallback
