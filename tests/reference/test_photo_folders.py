"""Photos: folders are classes, every picture is read or named, and hands are drawn where there are no photos."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from layerdiff.reference.datasets import Dataset, draw_hands, load_photos

RNG = np.random.default_rng(6)


@pytest.fixture
def photos(tmp_path):
    """A folder of three classes with two photos each, 64x64, so that they pass unchanged."""
    for name in ("10", "9", "a"):
        (tmp_path / name).mkdir()
        for number in (2, 1):
            pixels = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_folders_are_classes(photos):
    """Classes are in order, numbers by value; so are the files; pixels are divided by 255, RGB first."""
    data = load_photos(photos)

    assert data.classes == ("9", "10", "a")
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (data.images.shape, data.images.dtype) == ((6, 3, 64, 64), np.float32)
    with Image.open(photos / "10" / "2.png") as image:
        expected = np.asarray(image).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(expected, data.images[3])
    assert "6 in 3 classes, scaled to 64x64 bilinearly" in data.source


def test_photos_are_scaled(photos):
    """Another size, and another side than 64, are brought to one size, whatever the proportions or the mode."""
    Image.new("L", (30, 200), 51).save(photos / "a" / "3.jpg", quality=100)
    data = load_photos(photos, side=16)

    assert data.images.shape == (7, 3, 16, 16)
    np.testing.assert_array_equal(np.full((3, 16, 16), 51 / np.float32(255)), data.images[-1])


def test_what_is_no_class_and_hidden_files_are_passed_over(photos):
    """A licence beside the folders and a system's dot files do no harm."""
    (photos / "LICENSE").write_text("free")
    (photos / ".git").mkdir()
    (photos / "9" / ".DS_Store").write_bytes(b"x")

    assert len(load_photos(photos)) == 6


def test_all_unreadable_files_are_named_at_once(photos, refusal):
    """A text, a picture cut short and a folder are refused in one error, each with its path and reason."""
    (photos / "9" / "notes.txt").write_text("not a picture")
    whole = (photos / "a" / "1.png").read_bytes()
    (photos / "a" / "1.png").write_bytes(whole[:1000])
    (photos / "10" / "more").mkdir()
    text = refusal(load_photos, photos)

    assert "files that cannot be used as photos, got 3 of 8, expected none" in text
    assert f"note: {photos / '9' / 'notes.txt'}: not a picture, got 13 bytes" in text
    assert f"note: {photos / 'a' / '1.png'}: the picture is cut short or damaged, got 1000 bytes" in text
    assert f"note: {photos / '10' / 'more'}: no such picture, got a directory" in text
    assert "help: delete them, move them away, or get them anew" in text


def test_many_unreadable_files_are_counted(photos, refusal):
    """Ten are named, the rest counted."""
    for number in range(13):
        (photos / "9" / f"x{number}.txt").write_text("no")
    notes = [line for line in refusal(load_photos, photos).splitlines() if line.startswith("note: ")]

    assert len(notes) == 11
    assert notes[-1] == "note: and 3 more"


def test_a_huge_picture_is_refused(photos, refusal, monkeypatch):
    """A picture with more pixels than Pillow calls safe is named like an unreadable one."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    Image.new("RGB", (65, 64)).save(photos / "9" / "huge.png")
    text = refusal(load_photos, photos)

    assert "got 1 of 7, expected none" in text
    assert "huge.png: too many pixels for a picture, got 4160, expected at most 4096" in text


def test_no_classes(tmp_path, refusal):
    """An empty folder, one of photos alone, and a single class are refused, saying how to sort them."""
    text = refusal(load_photos, tmp_path)
    assert "no classes to tell apart, got 0 folders in it, expected two or more" in text
    assert "help: sort the photos into folders" in text

    (tmp_path / "only").mkdir()
    assert "got 1 folders in it" in refusal(load_photos, tmp_path)


def test_empty_classes_are_named(photos, refusal):
    """Folders without a photo are refused, all of them in one error."""
    (photos / "b").mkdir()
    (photos / "c").mkdir()
    (photos / "c" / ".keep").write_text("")
    text = refusal(load_photos, photos)

    assert "classes without photos, got 2 empty folders of 5, expected a photo or more in each" in text
    assert text.splitlines()[1:] == ["note: b", "note: c"]


def test_no_such_folder(tmp_path, refusal):
    """A path that leads nowhere, or to a file, is refused; so is a size without pixels."""
    (tmp_path / "file").write_bytes(b"")

    assert "no such folder of photos, got nothing there" in refusal(load_photos, tmp_path / "none")
    assert "got a file, expected a folder with one for each class" in refusal(load_photos, tmp_path / "file")
    assert "got side 0, expected 1 or more" in refusal(load_photos, tmp_path, side=0)


def test_real_signs(shared_data):
    """The hand signs as they lie in the world: 1,237 photos of six classes."""
    data = load_photos(shared_data / "data" / "signs")

    assert data.classes == tuple("012345")
    assert np.bincount(data.labels).tolist() == [205, 206, 206, 206, 207, 207]
    assert 0 <= data.images.min() < 0.05
    assert 0.95 < data.images.max() <= 1


def test_without_photos_hands_are_drawn():
    """Without a folder there are six classes all the same, and the source says that they are no photos."""
    data = load_photos(side=16)

    assert data.images.shape == (1200, 3, 16, 16)
    assert np.bincount(data.labels).tolist() == [200] * 6
    assert data.source == "drawn hands, no photos (1200 of 16x16, seed 0)"


def test_drawn_hands_are_their_seeds():
    """The same seed draws the same bytes, another seed other hands, and a longer series begins like a shorter one."""
    hands = draw_hands(12, seed=3)

    assert len({image.tobytes() for image in hands.images}) == 12
    assert not np.array_equal(hands.images[0] > 0.5, hands.images[6] > 0.5)
    assert hands.images.tobytes() == draw_hands(12, seed=3).images.tobytes()
    np.testing.assert_array_equal(hands.images, draw_hands(13, seed=3).images[:12])
    assert not (hands.images == draw_hands(12, seed=4).images).all(axis=(1, 2, 3)).any()
    assert hands.images.min() >= 0
    assert hands.images.max() <= 1


def test_more_fingers_more_skin():
    """Each class differs from the next by what it shows: with every finger the hand covers more of the picture."""
    hands = draw_hands(600, seed=1)
    corner = np.median(hands.images[:, :, :12, :6], axis=(2, 3))[:, :, None, None]
    covered = (np.abs(hands.images - corner).mean(axis=1) > 0.2).mean(axis=(1, 2))
    means = [covered[hands.labels == fingers].mean() for fingers in range(6)]

    assert means == sorted(means)


def test_unusable_sizes_of_drawings(refusal):
    """Too few hands, too small ones, or a seed below 0 are refused."""
    for wrong in ({"count": 5}, {"side": 7}, {"seed": -1}):
        assert "draw_hands: unusable sizes, got count" in refusal(draw_hands, **wrong)


def test_a_data_set_is_checked(refusal):
    """Whoever makes a data set of arrays that do not belong together is told all that is wrong."""
    text = refusal(Dataset, np.zeros((2, 3, 4)), np.array([0, 1, 7]), ("a", "b"), "mine")

    assert "mine: not a data set, got 3 problems" in text
    assert "note: images: got (2, 3, 4) float64, expected (n, c, h, w) float32" in text
    assert "note: labels: got 3, expected 2, one for each image" in text
    assert "note: labels: got 1 that are no class, such as 7, expected 0 to 1" in text
    images = np.zeros((2, 3, 4, 4), dtype=np.float32)
    assert "labels: got (2,) float64, expected (n,) int64" in refusal(Dataset, images, np.zeros(2), ("a",), "mine")
