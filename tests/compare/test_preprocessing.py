"""Preprocessing is a layer: what is the same input, what is not, and why."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torchvision import transforms
from torchvision.transforms import v2

from layerdiff.compare.preprocessing import Record, as_nchw, diagnose_input, input_allowance, judge_input
from layerdiff.compare.preprocessing.kernels import KERNELS
from layerdiff.compare.render.concise import render_concise
from layerdiff.compare.render.terminal import render_terminal
from layerdiff.compare.result import LayerResult, Measure, Report, Run
from layerdiff.compare.saved import read_run, run_to_json
from layerdiff.compare.verdict import settle
from layerdiff.errors import InputError
from layerdiff.reference import preprocess_array

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECORD = Record(resize=73, crop=(64, 64))


def pictures(shared=None):
    """The cat, and with a folder the photos in it."""
    yield data.cat()
    if shared is not None:
        for path in sorted((shared / "data" / "photos").glob("*.jpg")):
            yield np.asarray(Image.open(path).convert("RGB"))


def reference(picture, record=RECORD):
    """The reference's input, (1, 3, h, w)."""
    return preprocess_array(picture, resize=record.resize, crop=record.crop)[None]


def by_torchvision(picture):
    """Version 1 of its transforms."""
    steps = [transforms.Resize(73), transforms.CenterCrop(64), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose(steps)(Image.fromarray(picture)).numpy()[None]


def by_version_2(picture):
    """Version 2."""
    steps = [
        v2.Resize(73),
        v2.CenterCrop(64),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
    return np.asarray(v2.Compose(steps)(Image.fromarray(picture)))[None]


def by_hand(picture):
    """Pillow and NumPy, the constants folded into one product and one sum, in float64 until the end."""
    image = Image.fromarray(picture)
    w, h = image.size
    size = (73, int(73 * h / w)) if w <= h else (int(73 * w / h), 73)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((image.width - 64) / 2), round((image.height - 64) / 2)
    x = np.asarray(image.crop((left, top, left + 64, top + 64)))
    slope, offset = 1 / (255 * np.array(STD)), -np.array(MEAN) / np.array(STD)
    return (x * slope + offset).astype(np.float32).transpose(2, 0, 1)[None]


def by_another_order(picture):
    """In float32, by products with rounded reciprocals, the mean on the scale of 255."""
    levels = np.rint(reference(picture) * np.float32(255) * np.array(STD, np.float32)[:, None, None]
                     + np.float32(255) * np.array(MEAN, np.float32)[:, None, None])  # fmt: skip
    mean, reciprocal = (np.array(v, np.float32)[:, None, None] for v in (255 * np.array(MEAN), 1 / np.array(STD)))
    return ((levels - mean) * np.float32(1 / 255) * reciprocal).astype(np.float32)


WAYS = [by_torchvision, by_version_2, by_hand, by_another_order]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_preprocessing_is_same_however_it_is_written(way):
    """Torchvision's transforms of both versions, and two by hand: same, no findings."""
    for picture in pictures():
        result, findings = judge_input(reference(picture), way(picture), [picture], RECORD, source="x")

        assert findings == ()
        assert settled(result).verdict == "same"
        assert result.measure.ratio <= 1


@pytest.mark.parametrize("way", WAYS)
def test_it_is_same_on_real_photos(way, shared_data):
    """Likewise on the photos."""
    for picture in pictures(shared_data):
        assert diagnose_input(reference(picture), way(picture), picture, RECORD) == ()


def test_the_allowance_is_far_below_a_level():
    """What is allowed is something everywhere, and nowhere a four-thousandth of a grey level."""
    x = reference(data.cat())
    allowed = input_allowance(x, RECORD)
    level = RECORD.slope[:, None, None]

    assert (allowed > 0).all()
    assert (allowed < level / 4000).all()


def settled(result, findings=()):
    """A report of a network that is the same, with this input."""
    alone = [Measure(probe, "float64", 4, 0, 0.0, 0.0, (0,), 1.0, 1.0, 1e-9) for probe in
             ("propagated", "activations", "dense")]  # fmt: skip
    layer = LayerResult(0, "conv1", "conv1", "conv2d", (1, 4), ("input",), tuple(alone))
    report = Report("reference", "mine", (layer,), dtypes=("float64",), input=result, findings=findings)
    return settle(report)


def changed(x):
    """An input with its channels turned round."""
    return x[:, ::-1].copy()


def test_another_input_is_different_and_the_layers_are_told_all_the_same():
    """The verdict is different, the layers are same, and every form of report says both."""
    picture = data.cat()
    x = reference(picture)
    report = settled(*judge_input(x, changed(x), [picture], RECORD, source="mine.py:prepare"))
    run = Run({}, (report,))

    assert (report.verdict, report.input.status, report.layers[0].status) == ("different", "fault", "same")
    full, concise = " ".join(render_terminal(run).split()), render_concise(run)
    assert "input mine.py:prepare: different: 8,192 of 12,288 values, the greatest by" in full
    assert "I1 the channels are B, G, R, expected R, G, B, behind the normalisation [confirmed]" in full
    assert full.endswith("different: its input; given the expected one, 1 of 1 layers are same")
    assert "mine.py:prepare: input: different: " in concise
    assert "mine: input: I1 the channels are" in concise


def test_a_run_with_an_input_is_read_back(tmp_path):
    """The JSON holds the input's part; it can be judged again under other allowances; a contradiction is refused."""
    picture = data.cat()
    report = settled(*judge_input(reference(picture), by_hand(picture), [picture], RECORD, source="x.npy"))
    path = tmp_path / "run.json"
    path.write_bytes(run_to_json(Run({}, (report,))))

    (back,) = read_run(path).reports
    assert back == report
    assert (back.verdict, settle(back, scale=1e-3).verdict) == ("same", "different")
    spoilt = replace(report, input=replace(report.input, measure=replace(report.input.measure, over=10**9)))
    path.write_bytes(run_to_json(Run({}, (spoilt,))))
    with pytest.raises(InputError, match="its figures contradict each other, at the input"):
        read_run(path)


def test_other_shapes_are_different():
    """An input of another size has no measure, is different, and the cause is told."""
    picture = data.cat()
    larger = preprocess_array(picture, resize=73, crop=(73, 73))[None]
    result, findings = judge_input(reference(picture), larger, [picture], RECORD, source="x")

    assert result.measure is None
    assert settled(result).input.status == "fault"
    assert [(one.code, one.title, one.confirmed) for one in findings] == [
        ("I5", "the input is 73x73, expected 64x64", True)
    ]


LAYOUTS = {
    "no batch axis": (lambda x: x[0], ["a batch axis was added"]),
    "channels last": (
        lambda x: x.transpose(0, 2, 3, 1),
        ["its channels are the last axis; they were put in front"],
    ),
    "float64": (lambda x: x.astype(np.float64), ["it is float64; compared as float32"]),
    "as it should be": (lambda x: x, []),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_are_recognised_and_said(name):
    """(3, h, w), channels last and float64 are read, said, and no difference."""
    change, notes = LAYOUTS[name]
    picture = data.cat()

    result, findings = judge_input(reference(picture), change(reference(picture)), [picture], RECORD, source="x")

    assert (list(result.notes), findings, settled(result).verdict) == (notes, (), "same")


def test_a_shape_that_can_be_read_in_two_ways_is_read_as_the_expected_one():
    """Three rows are no channels where the expected input says so."""
    x = np.zeros((1, 3, 5, 3), np.float32)

    assert as_nchw(x, (1, 3, 5, 3))[0].shape == (1, 3, 5, 3)
    assert as_nchw(x, (1, 3, 3, 5))[0].shape == (1, 3, 3, 5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 2)), r"^x: not a picture's shape, got \(2, 2\), expected \(1, 3, 64, 64\)"),
        (np.zeros((1, 4, 8, 8)), r"^x: not a picture's shape, got \(1, 4, 8, 8\)"),
        (np.zeros((0, 3, 8, 8)), r"^x: not a picture's shape"),
        (np.full((3, 64, 64), np.nan), r"^x: values that are not finite, got 12,288 of 12,288, expected none$"),
        (np.full((3, 64, 64), 1e300), r"^x: values that are not finite"),
        (np.zeros((3, 64, 64), complex), r"^x: no real numbers, got dtype complex128, expected float32$"),
        (np.zeros((5, 3, 64, 64)), r"^x: another number of samples, got 5, expected 1$"),
    ],
    ids=["flat", "four channels", "empty", "nan", "too large", "complex", "five"],
)
def test_what_is_no_input_is_refused(x, message):
    """Shapes, numbers and counts that cannot be compared are refused in a line."""
    with pytest.raises(InputError, match=message):
        judge_input(reference(data.cat()), x, [data.cat()], RECORD, source="x")


def test_numbers_of_samples_must_be_equal():
    """`diagnose_input` compares sample by sample."""
    x = reference(data.cat())
    with pytest.raises(InputError, match=r"^input: another number of samples, got 1, expected 2$"):
        diagnose_input(np.concatenate([x, x]), x, data.cat(), RECORD)


MOVED = {
    "flipped": (lambda x: x[..., ::-1], "I5", "flipped left to right"),
    "upside down": (lambda x: x[..., ::-1, :], "I5", "upside down"),
    "turned by 180": (lambda x: x[..., ::-1, ::-1], "I5", "turned by 180 degrees"),
    "transposed": (lambda x: x.swapaxes(2, 3), "I5", "height and width are swapped"),
    "turned right": (lambda x: np.rot90(x, -1, (2, 3)), "I5", "turned by 90 degrees to the right"),
    "turned left": (lambda x: np.rot90(x, 1, (2, 3)), "I5", "turned by 90 degrees to the left"),
    "view": (
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(x.shape),
        "F3",
        "(h, w, 3) is reshaped to (3, h, w)",
    ),
    "view back": (
        lambda x: x.reshape(1, *x.shape[2:], 3).transpose(0, 3, 1, 2),
        "F3",
        "(3, h, w) is reshaped to (h, w, 3)",
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_numbers_in_other_places_are_recognised(name):
    """Flips, turns, swapped axes and reshapes, of pictures that are no squares too; without the picture itself."""
    move, code, title = MOVED[name]
    record = Record(resize=80, crop=(64, 48))
    x = reference(data.cat(), record)

    (found,) = diagnose_input(x, move(x), [], record)

    assert (found.code, found.confirmed) == (code, True)
    assert title in found.title


def test_a_picture_that_was_turned_before_is_recognised():
    """An EXIF orientation that was applied turns the picture before it is resized."""
    picture = data.cat()
    turned = reference(np.ascontiguousarray(np.rot90(picture)))

    findings = diagnose_input(reference(picture), turned, picture, RECORD)

    assert [(one.code, one.title, one.confirmed) for one in findings] == [
        ("I5", "the picture is turned by 90 degrees to the left", True)
    ]


@pytest.mark.parametrize("before", [True, False], ids=["before resizing", "behind"])
def test_grey_pictures_are_recognised(before):
    """A picture read without colour has one channel three times, whenever that was done."""
    picture = data.cat()
    image = Image.fromarray(picture)
    if before:
        actual = reference(np.asarray(image.convert("L").convert("RGB")))
    else:
        steps = [transforms.Resize(73), transforms.CenterCrop(64), transforms.Grayscale(3), transforms.ToTensor()]
        actual = transforms.Normalize(MEAN, STD)(transforms.Compose(steps)(image)).numpy()[None]

    (found,) = diagnose_input(reference(picture), actual, picture, RECORD)

    assert (found.code, found.title, found.confirmed) == ("I1", "the picture is grey: one channel three times", True)


def normalised(mean, std, scale=255.0):
    """The cat's levels, normalised otherwise."""
    levels = np.rint(RECORD.levels(reference(data.cat())))
    mean, std = (np.array(values)[:, None, None] for values in (mean, std))
    return ((levels / scale - mean) / std).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "titles"),
    [
        (
            normalised((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
            [
                "I2 the mean is (0.4814547, 0.4578275, 0.4082107), expected (0.485, 0.456, 0.406)",
                "I2 the std is (0.2686295, 0.2613026, 0.2757771), expected (0.229, 0.224, 0.225)",
            ],
        ),
        (normalised((0.5, 0.456, 0.406), STD), ["I2 the mean is (0.5, 0.456, 0.406), expected (0.485, 0.456, 0.406)"]),
        (normalised(MEAN, (0.229, 0.224, 0.226)),
         ["I2 the std is (0.229, 0.224, 0.226), expected (0.229, 0.224, 0.225)"]),
        (
            normalised((103.939, 116.779, 123.68), (1, 1, 1), 1.0)[:, [2, 1, 0]],
            [
                "I1 the channels are B, G, R, expected R, G, B, before the normalisation",
                "I3 the grey levels are not divided by 255",
                "I2 the mean is (123.68, 116.779, 103.939), expected (0.485, 0.456, 0.406)",
                "I2 the std is (1, 1, 1), expected (0.229, 0.224, 0.225)",
            ],
        ),
        (normalised(MEAN, STD, 256), ["I3 the grey levels are divided by 256, expected 255"]),
        (
            normalised(np.array(MEAN) * 255, STD, 1.0),
            [
                "I3 the input is multiplied by 255 after it is normalised: its std is not on the scale of its mean"
            ],
        ),
        (normalised(STD, MEAN), ["I2 mean and std are swapped"]),
    ],
    ids=["CLIP", "one mean", "one deviation", "Caffe", "256", "deviation unscaled", "swapped"],
)  # fmt: skip
def test_mean_deviation_and_scale_are_solved(x, titles):
    """Numbers that nobody listed are solved for, and rounded to the decimals that still explain every pixel."""
    findings = diagnose_input(reference(data.cat()), x, data.cat(), RECORD)

    assert all(one.confirmed for one in findings)
    assert [f"{one.code} {one.title}" for one in findings] == titles


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_an_input_in_sixteen_bits_is_recognised(dtype):
    """What was rounded on its way lies on the coarser grid, at most half a step away; a little noise does not."""
    x = reference(data.cat())
    rounded = torch.from_numpy(x).to(dtype).float().numpy()

    (found,) = diagnose_input(x, rounded, data.cat(), RECORD)
    (noisy,) = diagnose_input(x, x * np.float32(1 + 1e-4 * np.random.default_rng(0).random(x.shape)), [], RECORD)

    assert (found.code, found.title, found.confirmed) == (
        "H2",
        f"the input was rounded to {str(dtype).removeprefix('torch.')}",
        True,
    )
    assert noisy.code == "U1"


def test_several_pictures_are_explained_by_one_cause():
    """Pictures of other sizes, each cut in its own place: one cause for both, none where they do not agree."""
    both = [data.cat(), np.ascontiguousarray(data.cat().swapaxes(0, 1))[:400]]
    expected = np.concatenate([reference(picture) for picture in both])
    squashed = [Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC) for picture in both]
    actual = (np.stack([np.asarray(image) for image in squashed]) / 255 - MEAN) / STD

    findings = diagnose_input(expected, actual, both, RECORD)
    mixed = np.concatenate([expected[:1], expected[1:] * 2])

    assert [(one.code, one.confirmed) for one in findings] == [("I5", True), ("I4", True)]
    assert [one.code for one in diagnose_input(expected, mixed, both, RECORD)] == ["U1"]


def test_what_nothing_explains_is_said_to_be_unexplained():
    """Noise is no known cause: U1, not confirmed, with the two nearest and how far off they are."""
    x = reference(data.cat())
    noise = np.random.default_rng(0).normal(0, 0.5, x.shape).astype(np.float32)

    (found,) = diagnose_input(x, x + noise, data.cat(), RECORD)

    assert (found.code, found.layers, found.confirmed) == ("U1", ("input",), False)
    assert len(found.evidence) == 2
    assert all(" grey levels off: " in line for line in found.evidence)


def test_another_jpeg_decoder_is_only_suspected():
    """Levels that are off by a few everywhere look like another decoder; that is not confirmed."""
    buffer = io.BytesIO()
    Image.fromarray(data.cat()).save(buffer, "JPEG", quality=97, subsampling=0)
    other = np.asarray(Image.open(buffer).convert("RGB"))

    (found,) = diagnose_input(reference(data.cat()), reference(other), data.cat(), RECORD)

    assert (found.code, found.confirmed) == ("I7", False)
    assert "grey levels off" in found.evidence[0]
    assert found.equally == ("I4: the picture is resized in a way that is not known here",)


@pytest.mark.parametrize(
    ("name", "size", "digest"),
    [
        ("bilinear without antialiasing, of bytes (OpenCV's INTER_LINEAR)", (73, 110), "bd9de33b075f479e"),
        ("bilinear without antialiasing, of bytes (OpenCV's INTER_LINEAR)", (224, 224), "bbe8e6101fc7499d"),
        ("nearest, at floor(i·scale) (OpenCV)", (73, 110), "507e372908ab22e5"),
        ("nearest, at floor(i·scale) (OpenCV)", (224, 224), "7802301fe7330aa0"),
        ("the mean over areas (OpenCV's INTER_AREA), rounded", (73, 110), "444cf5e187f6c2c0"),
    ],
)
def test_what_is_written_down_of_opencv_is_what_it_does(name, size, digest):
    """Our own copies of OpenCV's filters give the bytes that OpenCV 5.0.0 gave for the cat."""
    (kernel,) = [kernel for kernel in KERNELS if kernel.name == name]

    levels = kernel.run(data.cat(), size).levels.astype(np.uint8)

    assert hashlib.sha256(levels.tobytes()).hexdigest()[:16] == digest


def test_every_kernel_differs_from_the_reference():
    """Each of the ways to resize has a name of its own and gives something else than the reference's."""
    picture = data.cat()
    ours = np.asarray(Image.fromarray(picture).resize((110, 73), Image.Resampling.BILINEAR))

    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS)
    for kernel in KERNELS:
        found = kernel.run(picture, (73, 110))
        assert found.levels.shape == (73, 110, 3)
        assert (np.abs(found.levels - ours) > found.slack).any(), kernel.name
