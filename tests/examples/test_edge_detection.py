"""Example 1: the edges of a photo, and SciPy as the witness."""

from __future__ import annotations

import edge_detection
import numpy as np
import pytest
from PIL import Image


def by_hand(levels):
    """Nine times a pixel less the sum of its 3x3 window, in integers: the Laplacian of eight neighbours."""
    (height, width), padded = levels.shape, np.pad(levels.astype(np.int64), 1)
    windows = sum(padded[row : row + height, left : left + width] for row in range(3) for left in range(3))
    return 9 * padded[1:-1, 1:-1] - windows


def test_the_edges_are_those_of_scipy(show, tmp_path):
    """On a real photo of 256x256 every pixel is equal for grey levels, and within what rounding explains for shades."""
    printed, figures = show(edge_detection.command, "--output", tmp_path)

    assert figures["pixels"] == 256 * 256
    assert figures["equal"] == dict.fromkeys(("scipy.signal.correlate2d", "scipy.ndimage.correlate"), 65_536)
    assert all(part <= 1 for part in figures["part of the bound"].values())
    assert "65,536 of 65,536" in printed


def test_photo_and_edges_are_saved_side_by_side(show, tmp_path):
    """The picture is the photo on the left, and on the right how far the Laplacian is from 0, cut at white."""
    _, photo = edge_detection.grey_photo(None)
    show(edge_detection.command, "--output", tmp_path / "new" / "folder")

    saved = np.asarray(Image.open(tmp_path / "new" / "folder" / "edge_detection.png"))
    levels = np.asarray(photo)
    assert saved.shape == (256, 512)
    np.testing.assert_array_equal(saved[:, :256], levels)
    np.testing.assert_array_equal(saved[:, 256:], np.minimum(np.abs(by_hand(levels)), 255))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bound_is_kept_by_rough_images_and_missed_by_a_wrong_kernel(monkeypatch, dtype):
    """Noise of all sizes stays within it; a kernel of which one value is off by a ten-thousandth does not."""
    generator = np.random.default_rng(0)
    image = (generator.standard_normal((64, 48)) * 10.0 ** generator.integers(-3, 4, (64, 48))).astype(dtype)
    expected = edge_detection.witnesses(image)
    assert all(0 <= edge_detection.part_of_bound(image, theirs) <= 1 for theirs in expected.values())

    monkeypatch.setattr(edge_detection, "LAPLACIAN", edge_detection.LAPLACIAN + np.eye(3) * 1e-4)
    assert all(edge_detection.part_of_bound(image, theirs) > 1 for theirs in expected.values())


def test_a_difference_where_nothing_rounds_is_beyond_any_bound():
    """Of an image of zeros the Laplacian is 0, and nothing else will do."""
    image = np.zeros((8, 8), dtype=np.float32)
    assert edge_detection.part_of_bound(image, image) == 0
    assert edge_detection.part_of_bound(image, image + np.float32(1e-30)) == np.inf


def test_any_photo_becomes_256x256(show, tmp_path):
    """A small, wide picture in colour is cut and scaled."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    _, figures = show(edge_detection.command, "--photo", tmp_path / "a.png", "--output", tmp_path)
    assert (figures["photo"], figures["pixels"]) == ("a.png", 65_536)


def test_what_cannot_be_read_or_written_is_said(refused, tmp_path):
    """A photo that is missing, or text; an output folder in whose place there is a file: words and exit code 2."""
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    assert refused(edge_detection.command, "--photo", tmp_path / "none.png") == (
        f"error: {tmp_path / 'none.png'}: no such picture, got nothing there, expected an image file\n"
    )
    assert refused(edge_detection.command, "--photo", text) == (
        f"error: {text}: not a picture, got 13 bytes of something else, expected an image file\n"
    )
    assert refused(edge_detection.command, "--output", text) == (
        f"error: {text / 'edge_detection.png'}: cannot be written, got File exists, expected a writable place\n"
    )
