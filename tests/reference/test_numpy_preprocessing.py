"""Preprocessing with NumPy alone is torchvision's on Pillow, to the last bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from layerdiff.reference import load_image, preprocess, preprocess_array
from layerdiff.reference.numpy_preprocessing import center_crop, resize_bilinear, resized_size

PILLOW = int(PIL.__version__.split(".")[0])
SIDES = st.integers(1, 150)


def _noise(seed: int, h: int, w: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(h=SIDES, w=SIDES, h_out=SIDES, w_out=SIDES, seed=st.integers(0, 99))
def test_resize_is_pillows_to_the_bit(h, w, h_out, w_out, seed):
    """Up, down, one of each, one pixel, odd sizes: the very bytes of Pillow's antialiased bilinear filter."""
    image = _noise(seed, h, w)
    expected = np.asarray(Image.fromarray(image).resize((w_out, h_out), Image.Resampling.BILINEAR))

    np.testing.assert_array_equal(expected, resize_bilinear(image, (h_out, w_out), pillow=PILLOW))


@pytest.mark.parametrize("size", [(40, 100), (100, 40), (300, 20)])
def test_the_order_of_passes_is_within_one_level(size):
    """Pillow 13 resizes a much reduced height first; the other order differs by one level at most."""
    image = _noise(0, 400, 101)
    old, new = (resize_bilinear(image, size, pillow=release).astype(int) for release in (12, 13))

    assert np.abs(old - new).max() <= 1


def test_pillow_13_begins_with_a_much_reduced_height():
    """Height first exactly where it loses more than twice the pixels of the width, and width first at twice."""
    image = _noise(0, 100, 100)
    for size, differs in [((60, 80), False), ((59, 80), True), ((101, 130), False), ((99, 130), True)]:
        old, new = (resize_bilinear(image, size, pillow=release) for release in (12, 13))
        assert differs == (not np.array_equal(old, new)), size


@settings(max_examples=200, deadline=None, derandomize=True)
@given(h=SIDES, w=SIDES, shorter=st.integers(1, 300))
def test_sizes_are_torchvisions(h, w, shorter):
    """The longer side is rounded down, as torchvision does it."""
    expected = functional.resize(Image.new("L", (w, h)), [shorter], functional.InterpolationMode.NEAREST).size

    assert expected[::-1] == resized_size((h, w), shorter)


@pytest.mark.parametrize("h", range(8, 14))
@pytest.mark.parametrize("crop", [(8, 7), (5, 4)])
def test_odd_margins_are_torchvisions(h, crop):
    """Half a pixel is rounded to the even number."""
    image = _noise(0, h, 11)
    expected = np.asarray(functional.center_crop(Image.fromarray(image), list(crop)))

    np.testing.assert_array_equal(expected, center_crop(image, crop))


@pytest.mark.parametrize(("version", "resize"), [("imagenet1k_v1", 256), ("imagenet1k_v2", 232)])
@pytest.mark.parametrize("size", [(224, 224), (64, 64), (97, 131), (321, 200)])
def test_whole_preprocessing_is_torchvisions(version, resize, size):
    """The same float32 bits for a real picture, at the record's size and at others."""
    cat = load_image(None)
    expected = preprocess([cat], architecture="resnet50", version=version, size=size)[0]
    x = preprocess_array(np.asarray(cat.image), resize=max(size) * resize // 224, crop=size, pillow=PILLOW)

    assert (x.dtype, x.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(expected.view(np.uint32), x.view(np.uint32))


def test_real_photos(shared_data):
    """And for four photos of a megapixel or so, with the defaults."""
    for path in sorted((shared_data / "data/photos").iterdir()):
        picture = load_image(path)
        expected = preprocess([picture], architecture="resnet50")[0]
        np.testing.assert_array_equal(expected, preprocess_array(np.asarray(picture.image), pillow=PILLOW))


def test_it_needs_numpy_alone():
    """The module itself imports neither torch nor Pillow."""
    from layerdiff.reference import numpy_preprocessing

    code = f"""
import sys, runpy
runpy.run_path({numpy_preprocessing.__file__!r})
print(sorted({{"torch", "torchvision", "PIL"}} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"
