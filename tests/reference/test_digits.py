"""Digits: MNIST's files are read as published, a broken one is refused in words, and some digits need no file."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest

from layerdiff.reference.datasets import load_digits

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 0], dtype=np.uint8)


def idx(array):
    """The idx file of an array of bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """Writes one part of MNIST; each file may be given as bytes, or left out with None."""

    def write(images=None, labels=None, *, part="t10k", packed=True, dot="-"):
        files = {
            f"{part}-images{dot}idx3-ubyte": idx(IMAGES) if images is None else images,
            f"{part}-labels{dot}idx1-ubyte": idx(LABELS) if labels is None else labels,
        }
        for name, content in files.items():
            if content:
                (tmp_path / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
        return tmp_path

    return write


def without(folder, name):
    """The folder, less one file."""
    (folder / name).unlink()
    return folder


@pytest.mark.parametrize(("packed", "dot"), [(True, "-"), (False, "-"), (False, ".")], ids=["gzip", "plain", "dotted"])
def test_mnist_is_read_as_published(folder, packed, dot):
    """Every pixel is its byte over 255, in the middle of 32x32, and every label is its byte; gzip or not."""
    digits = load_digits(folder(packed=packed, dot=dot))

    assert (digits.images.shape, digits.images.dtype, digits.labels.dtype) == ((7, 1, 32, 32), np.float32, np.int64)
    np.testing.assert_array_equal(IMAGES.astype(np.float32) / np.float32(255), digits.images[:, 0, 2:-2, 2:-2])
    assert np.count_nonzero(digits.images) == np.count_nonzero(IMAGES)
    np.testing.assert_array_equal(LABELS, digits.labels)
    assert digits.classes == tuple("0123456789")
    assert "t10k 7 of 28x28, padded to 32x32" in digits.source


def test_both_parts_are_read_train_first(folder):
    """A folder with the whole of MNIST gives all of it, and the source says how many of each."""
    folder()
    digits = load_digits(folder(idx(IMAGES[:2]), idx(LABELS[:2]), part="train"))

    np.testing.assert_array_equal(np.concatenate([LABELS[:2], LABELS]), digits.labels)
    assert "(train 2, t10k 7 of 28x28" in digits.source


def test_real_mnist(shared_data):
    """MNIST's test split as it lies in the world: 10,000 images, the first of which shows a seven."""
    digits = load_digits(shared_data / "data" / "mnist")

    assert len(digits) == 10_000
    assert digits.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_digits_without_any_file():
    """scikit-learn's digits come with its wheel, scaled to 32x32 between 0 and 1, as dark as they were."""
    from sklearn import datasets

    digits = load_digits()
    small = datasets.load_digits()

    assert digits.images.shape == (1797, 1, 32, 32)
    assert digits.images.min() == 0
    assert digits.images.max() <= 1
    np.testing.assert_array_equal(small.target, digits.labels)
    # Bilinear by 4: inner output pixel 4i+1 is 7/8 of pixel i and 1/8 of the one before, in each direction.
    image = small.images[0] / 16
    rows = image[3] * 7 / 8 + image[2] / 8
    assert digits.images[0, 0, 13, 17] == pytest.approx(rows[4] * 7 / 8 + rows[3] / 8, rel=8 * 2**-24)
    assert digits.source == "scikit-learn's digits (1797 of 8x8, scaled to 32x32 bilinearly)"


def test_same_digits_every_time():
    """Two loads give the same bytes."""
    assert load_digits().images.tobytes() == load_digits().images.tobytes()


def test_without_scikit_learn_it_is_said(refusal, monkeypatch):
    """Where scikit-learn is not installed there is no traceback of an import, but a sentence and what to do."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    text = refusal(load_digits)

    assert "load_digits: scikit-learn is not there, got an ImportError, expected it to be installed" in text
    assert 'help: pip install "layerdiff[learn]", or give a folder with MNIST\'s files' in text


def test_no_such_folder(tmp_path, refusal):
    """A path that is no folder, or a folder of something else, is refused with what should be there."""
    (tmp_path / "file").write_bytes(b"")

    assert "got nothing there, expected a folder with MNIST's idx files" in refusal(load_digits, tmp_path / "none")
    assert "got a file, expected a folder" in refusal(load_digits, tmp_path / "file")
    assert "got none of MNIST's idx files, expected t10k-images-idx3-ubyte and" in refusal(load_digits, tmp_path)


def test_half_a_pair(folder, refusal):
    """Images without labels, or labels without images, are named by the missing file."""
    text = refusal(load_digits, without(folder(), "t10k-labels-idx1-ubyte.gz"))
    assert "part 't10k' is missing, got no t10k-labels-idx1-ubyte[.gz], expected its images and labels" in text

    folder()
    assert "got no t10k-images-idx3-ubyte[.gz]" in refusal(load_digits, without(folder(), "t10k-images-idx3-ubyte.gz"))


def test_a_directory_in_place_of_a_file(tmp_path, refusal):
    """A directory of the file's name is not opened."""
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()

    assert "t10k-images-idx3-ubyte: no such idx file, got a directory, expected a file" in refusal(
        load_digits, tmp_path
    )


BROKEN = {
    "values missing": (
        {"images": idx(IMAGES)[:-1]},
        "the idx file is cut short, got 5487 values, expected 5488, as its header says: 7 x 28 x 28",
    ),
    "values too many": (
        {"labels": idx(LABELS) + b"\0"},
        "the idx file is too long, got more than 7 values, expected 7, as its header says: 7",
    ),
    "header cut": ({"images": idx(IMAGES)[:9]}, "the idx file is cut short, got 9 bytes of its header, expected 16"),
    "nothing in it": (
        {"images": b"\0", "packed": False},
        "another magic number, got 0x00, expected 0x00000803 of an idx file of unsigned bytes with 3 axes",
    ),
    "exchanged": (
        {"images": idx(LABELS), "labels": idx(IMAGES)},
        "another magic number, got 0x00000801, expected 0x00000803",
    ),
    "floats": (
        {"labels": b"\0\0\x0d\1" + idx(LABELS)[4:]},
        "got 0x00000d01, expected 0x00000801 of an idx file of unsigned bytes with 1 axis",
    ),
    "no images": ({"images": idx(IMAGES[:0])}, "unusable sizes in the idx header, got 0 x 28 x 28, expected from 1 to"),
    "too many images": (
        {"images": b"\0\0\x08\3" + b"\xff" * 12},
        "got 4294967295 x 4294967295 x 4294967295, expected from 1 to 1073741824 values",
    ),
    "other size": ({"images": idx(IMAGES[:, :8, :9])}, "images of another size, got 8x9, expected 28x28"),
    "labels out of range": (
        {"labels": idx(np.where(LABELS == 1, 10, LABELS).astype(np.uint8))},
        "labels out of range, got 2 of 7, such as 10, expected 0 to 9",
    ),
    "another number": (
        {"labels": idx(LABELS[:5])},
        "images and labels of part 't10k' differ in number, got 7 and 5, expected a label for each image",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(folder, refusal, name):
    """Whatever is wrong inside a file is said, with what was found and what should be there."""
    files, expected = BROKEN[name]

    assert expected in refusal(load_digits, folder(**files))


def test_broken_gzip_is_refused(folder, refusal):
    """A gzip file cut short, or with a byte changed, is refused as such, not as something else."""
    path = folder() / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    text = refusal(load_digits, path.parent)
    assert f"the gzip file is cut short or damaged, got {len(whole) // 2} bytes, expected a whole file" in text
    assert "note: EOFError" in text

    path.write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])
    assert "note: BadGzipFile: CRC check failed" in refusal(load_digits, path.parent)

    path.write_bytes(whole[:12] + bytes(value ^ 0xFF for value in whole[12:40]) + whole[40:])
    assert "the gzip file is cut short or damaged" in refusal(load_digits, path.parent)


def test_an_unreadable_file_is_refused(folder, refusal, monkeypatch):
    """A file that the system does not let be read is refused in its words."""

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = folder()
    monkeypatch.setattr("pathlib.Path.open", closed)

    assert "cannot be read, got Permission denied, expected a readable file" in refusal(load_digits, path)
