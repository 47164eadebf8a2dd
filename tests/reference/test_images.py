"""Pictures: every kind Pillow reads becomes RGB and says how, every kind it cannot read is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from layerdiff.reference import load_image, preprocess, weights_record

RGB = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


@pytest.fixture
def save(tmp_path):
    """Saves a picture and returns its path."""

    def to(name, image, **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return to


def test_the_cat_needs_no_download():
    """Without a path there is a picture all the same, always the same."""
    picture = load_image(None)

    assert picture.image.mode == "RGB"
    assert picture.image.size == (451, 300)
    assert picture.sha256.startswith("14b1db47")


def test_rgb_is_read_as_it_is(save):
    """Pixels pass unchanged, with nothing to note, by Path or by str."""
    path = save("a.png", Image.fromarray(RGB))
    picture = load_image(path)

    np.testing.assert_array_equal(RGB, np.asarray(picture.image))
    assert (picture.name, picture.notes) == ("a.png", ())
    assert load_image(str(path)).sha256 == picture.sha256


def test_same_picture_same_hash_whatever_the_file(save):
    """The hash is of what the network sees: two formats agree, a transposed picture does not."""
    one, other = load_image(save("a.png", Image.fromarray(RGB))), load_image(save("a.bmp", Image.fromarray(RGB)))
    turned = load_image(save("b.png", Image.fromarray(RGB.reshape(8, 6, 3))))

    assert one.sha256 == other.sha256
    assert one.sha256 != turned.sha256


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA"])
def test_other_modes_become_rgb_as_pillow_does(save, mode):
    """Grey, palette, CMYK and alpha are converted as in front of torchvision, and the notes say so."""
    path = save("a.tif", Image.fromarray(RGB).convert(mode))
    picture = load_image(path)

    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.asarray(picture.image))
    assert picture.notes[0] == f"Mode {mode} was converted to RGB."
    assert (len(picture.notes) == 2) == mode.endswith("A")


def test_transparency_is_dropped_and_said(save):
    """The colour under a transparent pixel is what the network sees."""
    image = Image.fromarray(RGB)
    image.putalpha(0)
    picture = load_image(save("a.png", image))

    np.testing.assert_array_equal(RGB, np.asarray(picture.image))
    assert "Transparency was dropped, not blended with a background." in picture.notes


def test_palette_with_transparency_does_not_warn(save):
    """Pillow warns about such palettes; a warning is not an error here, and the transparency is noted."""
    path = save("a.png", Image.fromarray(RGB).convert("P"), transparency=b"\x00\x80\xff")

    assert "Transparency was dropped, not blended with a background." in load_image(path).notes


def test_sixteen_bits_are_scaled_not_clipped(save):
    """65535 becomes 255 and half of it half of that; Pillow's own conversion would make nearly all of it white."""
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    picture = load_image(save("a.png", Image.fromarray(deep)))

    assert np.asarray(picture.image)[0, :, 0].tolist() == [0, 1, 128, 255]
    assert "brought from 16 bits to 8" in picture.notes[0]


def test_orientation_is_left_and_said(save):
    """Torchvision does not turn a picture by its EXIF orientation, so neither do we; the notes warn of it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = load_image(save("a.png", Image.fromarray(RGB), exif=exif))

    assert picture.image.size == (8, 6)
    assert picture.notes == ("The EXIF orientation 6 was not applied, as torchvision does not.",)


def test_first_of_several_frames(save):
    """Of an animation the first frame is taken."""
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    picture = load_image(save("a.tif", frames[0], save_all=True, append_images=frames[1:]))

    np.testing.assert_array_equal(RGB, np.asarray(picture.image))
    assert picture.notes == ("The first of 2 frames was taken.",)


def test_no_picture_there(tmp_path, refusal):
    """Nothing, a directory, an empty file and a text each have their own message."""
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not a picture")

    assert "got nothing there" in refusal(load_image, tmp_path / "a.png")
    assert "got a directory" in refusal(load_image, tmp_path)
    assert "not a picture, got 0 bytes" in refusal(load_image, tmp_path / "empty.png")
    assert "not a picture, got 13 bytes" in refusal(load_image, tmp_path / "text.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.gif", "a.webp", "a.bmp"])
def test_cut_short(save, refusal, name):
    """A picture cut anywhere is refused, never half shown, and nothing but InputError is raised."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(name, Image.fromarray(noise))
    whole = path.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 40, 60):
        path.write_bytes(whole[:keep])
        text = refusal(load_image, path)
        assert "cut short or damaged" in text or "not a picture" in text


@pytest.mark.parametrize("limit", [30, 20])
def test_too_many_pixels(save, refusal, monkeypatch, limit):
    """A small file that would unpack to a vast picture is refused, at Pillow's warning as at its error."""
    path = save("a.png", Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)

    assert f"too many pixels for a picture, got 48, expected at most {limit}" in refusal(load_image, path)


@pytest.mark.parametrize("version", ["imagenet1k_v1", "imagenet1k_v2"])
def test_preprocessing_is_the_records(version):
    """At the record's own size the result is its transforms', to the bit."""
    picture = load_image(None)
    expected = weights_record("resnet50", version).transforms()(picture.image).numpy()
    x = preprocess([picture], architecture="resnet50", version=version)

    assert (x.dtype, x.shape) == (np.float32, (1, 3, 224, 224))
    np.testing.assert_array_equal(expected, x[0])
    same = preprocess([picture], architecture="resnet50", version=version, size=(224, 224))
    np.testing.assert_array_equal(x, same)


@pytest.mark.parametrize("size", [(64, 64), (97, 131), (300, 33), (1, 1)])
def test_other_sizes_keep_the_proportion(size):
    """The shorter side becomes max(h, w) * 256 // 224, and the centre is cut out."""
    from torchvision.transforms import functional

    picture = load_image(None)
    x = preprocess([picture], architecture="resnet18", size=size)
    resized = functional.resize(picture.image, [max(size) * 256 // 224])
    cut = np.asarray(functional.center_crop(resized, list(size)))

    assert x.shape == (1, 3, *size)
    back = x[0].transpose(1, 2, 0) * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]
    np.testing.assert_array_equal(cut, np.rint(back * 255))


def test_a_batch_repeats_pictures_rolled():
    """Six samples of two pictures: the first two as they are, then each again, moved sideways, no two alike."""
    cat = load_image(None)
    mirrored = type(cat)("mirrored", cat.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "", ())
    two = preprocess([cat, mirrored], architecture="resnet18", size=(30, 30))
    six = preprocess([cat, mirrored], architecture="resnet18", size=(30, 30), batch=6)

    np.testing.assert_array_equal(two, six[:2])
    for index in range(2, 6):
        np.testing.assert_array_equal(np.roll(two[index % 2], index * 5, axis=-1), six[index])
    assert len({sample.tobytes() for sample in six}) == 6


def test_batches_that_make_no_sense(refusal):
    """No picture, fewer samples than pictures, and samples without pixels."""
    cat = load_image(None)

    assert "got 0, expected 1 or more" in refusal(preprocess, [], architecture="resnet18")
    assert "got 1, expected 2 or more" in refusal(preprocess, [cat, cat], architecture="resnet18", batch=1)
    assert "got (0, 5)" in refusal(preprocess, [cat], architecture="resnet18", size=(0, 5))


def test_a_picture_too_narrow_to_resize(refusal):
    """One pixel by a million would be resized to gigabytes."""
    thread = type(load_image(None))("thread", Image.new("RGB", (1, 10_000)), "", ())

    assert "thread: too narrow to resize, got 1x10000" in refusal(preprocess, [thread], architecture="resnet18")


def test_real_photos(shared_data):
    """The photos are read without a note and prepared as the record says."""
    paths = sorted((shared_data / "data/photos").iterdir())
    pictures = [load_image(path) for path in paths]
    x = preprocess(pictures, architecture="resnet50")

    assert [picture.notes for picture in pictures] == [()] * 4
    transform = weights_record("resnet50", "imagenet1k_v1").transforms()
    np.testing.assert_array_equal(np.stack([transform(picture.image) for picture in pictures]), x)


def test_broken_metadata_does_not_matter(save, tmp_path):
    """Pixels that are whole are shown whatever the EXIF beside them says."""
    for rubbish in (b"Exif\0\0rubbish", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0"):
        picture = load_image(save("a.jpg", Image.fromarray(RGB), exif=rubbish))
        assert picture.image.size == (8, 6)
