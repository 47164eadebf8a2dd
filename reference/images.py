"""Pictures: read with Pillow, and prepared for a network exactly as its weights record says."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from layerdiff.errors import InputError
from layerdiff.reference.architectures import weights_record

__all__ = ["Picture", "load_image", "preprocess"]

_ORIENTATION = 0x0112  # the EXIF tag
_LARGEST = 1 << 27  # pixels after resizing: 400 MB of uint8


@dataclass(frozen=True)
class Picture:
    """A picture as RGB.

    Args:
        name: what to call it.
        image: the Pillow image, in mode RGB.
        sha256: of the size and the RGB values: the same picture has the same hash whatever file it came from.
        notes: what was done to reach RGB, and what was left undone, a sentence each.
    """

    name: str
    image: Image.Image
    sha256: str
    notes: tuple[str, ...]


def load_image(path: str | Path | None) -> Picture:
    """Reads a picture of any kind that Pillow knows, as RGB, as it is stored.

    Alpha is dropped, as `convert("RGB")` does in front of torchvision; 16 bits are brought to 8 by dividing by 257; the
    first of several frames is taken; an EXIF orientation is not applied, since torchvision does not. `notes` says so.

    Args:
        path: the file; None for scikit-image's picture of a cat, which its wheel holds.

    Raises:
        InputError: no such file, a directory, not a picture, cut short, or too many pixels to be honest.
    """
    if path is None:
        from skimage import data

        image = Image.fromarray(data.cat())  # type: ignore[no-untyped-call]
        return Picture("scikit-image's cat", image, _hash(image), ())

    found = Path(path)
    if not found.is_file():
        got = "a directory" if found.is_dir() else "nothing there"
        raise InputError(f"{found}: no such picture, got {got}, expected an image file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken metadata, which is not used
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image, notes = _read(found)

    return Picture(found.name, image, _hash(image), notes)


def preprocess(
    pictures: Sequence[Picture],
    *,
    architecture: str,
    version: str = "imagenet1k_v1",
    size: tuple[int, int] | None = None,
    batch: int | None = None,
) -> NDArray[np.float32]:
    """Prepares `pictures` as the weights record says: resize, crop the centre, scale to [0, 1], normalise.

    Args:
        pictures: at least one.
        architecture: one of `ARCHITECTURES`.
        version: whose preprocessing; `imagenet1k_v2` resizes to 232 rather than 256.
        size: (h, w) instead of the record's own; the shorter side is then resized to `max(h, w) * resize // crop`,
            the record's own proportion, and (h, w) cut out of the centre.
        batch: n; the pictures are taken round and round, and after the first round sample i is rolled sideways by
            i/n of its width, so that all samples differ as long as n is at most the width.

    Returns:
        float32 (n, 3, h, w).

    Raises:
        InputError: no such record, no picture, fewer samples than pictures, a size below 1, or a picture so narrow that
            it would be resized beyond any memory.

    Source:
        torchvision.models.WeightsEnum.transforms.
    """
    count = len(pictures) if batch is None else batch
    if not pictures or count < len(pictures):
        raise InputError(
            f"preprocess: too few samples for {len(pictures)} pictures, got {count}, "
            f"expected {max(len(pictures), 1)} or more"
        )
    if size is not None and min(size) < 1:
        raise InputError(f"preprocess: a size without pixels, got {size}, expected (h, w) from 1 up")
    transform = weights_record(architecture, version).transforms()
    if size is not None:
        transform.resize_size = [max(size) * transform.resize_size[0] // transform.crop_size[0]]
        transform.crop_size = list(size)
    for picture in pictures:
        _check_narrow(picture, transform.resize_size[0])

    prepared = [transform(picture.image).numpy() for picture in pictures]
    samples = []
    for index in range(count):
        x = prepared[index % len(prepared)]
        shift = index * x.shape[-1] // count if index >= len(prepared) else 0
        samples.append(np.roll(x, shift, axis=-1))

    return np.stack(samples)


def _read(path: Path) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        with Image.open(path) as image:
            return _as_rgb(image), tuple(_notes(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        pixels = (re.findall(r"\d+", str(error)) or ["more"])[0]
        raise InputError(
            f"{path}: too many pixels for a picture, got {pixels}, expected at most {Image.MAX_IMAGE_PIXELS}"
        ) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: not a picture, got {path.stat().st_size} bytes of something else, expected an image file"
        ) from error
    except Exception as error:  # broken bytes lead Pillow's many readers into exceptions of every kind
        raise InputError(
            f"{path}: the picture is cut short or damaged, got {path.stat().st_size} bytes, expected a whole file",
            notes=[f"{type(error).__name__}: {error}"],
        ) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips at 255, which leaves white
        grey = np.clip(np.asarray(image).astype(np.int64) // 257, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image.convert("RGB")


def _notes(image: Image.Image) -> Iterator[str]:
    if image.mode.startswith("I"):
        yield f"Mode {image.mode} was brought from 16 bits to 8 by dividing by 257, and to RGB."
    elif image.mode != "RGB":
        yield f"Mode {image.mode} was converted to RGB."
    if image.has_transparency_data:
        yield "Transparency was dropped, not blended with a background."
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        yield f"The first of {frames} frames was taken."
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation != 1:
        yield f"The EXIF orientation {orientation} was not applied, as torchvision does not."


def _hash(image: Image.Image) -> str:
    return hashlib.sha256(f"{image.size}\n".encode() + image.tobytes()).hexdigest()


def _check_narrow(picture: Picture, shorter: int) -> None:
    w, h = picture.image.size
    pixels = shorter * int(shorter * max(h, w) / min(h, w))
    if pixels > _LARGEST:
        raise InputError(
            f"{picture.name}: too narrow to resize, got {w}x{h}, expected at most {_LARGEST} pixels "
            f"when the shorter side is {shorter}, not {pixels}"
        )
