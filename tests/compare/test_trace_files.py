"""Traces from anywhere: the three forms, the manifest, and everything that can be wrong with them."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from layerdiff.compare import trace_stored
from layerdiff.compare.capture import capture
from layerdiff.compare.saved import write_trace
from layerdiff.compare.trace import digest
from layerdiff.compare.trace_files import read_any_trace
from layerdiff.errors import InputError

FORMS = ("npz", "folder", "safetensors")


@pytest.fixture(params=FORMS)
def form(request):
    """Each of the three forms."""
    return request.param


def written(form, folder, arrays, manifest=None):
    """The path of a trace in one of the three forms, with a manifest or without."""
    text = None if manifest is None else manifest if isinstance(manifest, str) else json.dumps(manifest)
    path = folder / (f"a.{form}" if form != "folder" else "a")
    if form == "npz":
        np.savez(path, **arrays)
        if text is not None:
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("manifest.json", text)
    elif form == "safetensors":
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path,
                  metadata=None if text is None else {"manifest": text})  # fmt: skip
    else:
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
        if text is not None:
            (path / "manifest.json").write_text(text)
    return path


@pytest.fixture
def arrays():
    """An input and two layers' values."""
    rng = np.random.default_rng(0)
    shapes = {"input": (1, 3, 6, 5), "conv1": (1, 4, 3, 2), "fc": (1, 10)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def refusal(path):
    """What is said of a trace that is refused: the message and its notes."""
    with pytest.raises(InputError) as caught:
        read_any_trace(path)
    return "\n".join([str(caught.value), *caught.value.__notes__] if hasattr(caught.value, "__notes__")
                     else [str(caught.value)])  # fmt: skip


def test_arrays_named_by_layer_are_a_trace(form, arrays, tmp_path):
    """Each form is read bit for bit without any manifest, and the input's digest is that of the same array."""
    trace = read_any_trace(written(form, tmp_path, arrays))

    assert {op.layer for op in trace.ops} == {"conv1", "fc"}
    assert all(np.array_equal(trace.values[name], arrays[name]) for name in arrays)
    assert all(op.run is None and op.inputs == () for op in trace.ops)
    assert trace.input_digest == digest(arrays["input"])
    assert trace.network.startswith("a")


def test_a_manifest_maps_and_transposes(form, arrays, tmp_path):
    """Own names become layer ids in the order listed, four axes become NCHW, and the network gets its name."""
    stored = {"image": arrays["input"], "b": arrays["conv1"], "a": arrays["fc"]}
    stored = {name: a.transpose(0, 2, 3, 1) if a.ndim == 4 else a for name, a in stored.items()}
    manifest = {"format": "layerdiff trace manifest 1", "network": "mine in Fortran", "input": "image",
                "layout": "NHWC", "layers": {"b": "conv1", "a": "fc"}, "dtype": "float32"}  # fmt: skip

    trace = read_any_trace(written(form, tmp_path, stored, manifest))

    assert [op.layer for op in trace.ops] == ["conv1", "fc"]
    assert trace.network == "mine in Fortran"
    assert all(np.array_equal(trace.values[name], arrays[name]) for name in arrays)
    assert all(value.flags.c_contiguous for value in trace.values.values())


def test_a_manifest_can_list_layers_with_their_files(form, arrays, tmp_path):
    """A list of ids, or of objects with file, kind, shape and dtype, says the same."""
    stored = {"x": arrays["conv1"], "fc": arrays["fc"]}
    entry = {"id": "conv1", "file": "x.npy", "kind": "conv2d", "shape": [1, 4, 3, 2], "dtype": "float32"}

    trace = read_any_trace(written(form, tmp_path, stored, {"layers": ["fc", entry]}))

    assert [(op.layer, op.kind, op.shape) for op in trace.ops] == [
        ("fc", "", (1, 10)),
        ("conv1", "conv2d", (1, 4, 3, 2)),
    ]
    assert trace.input_digest == ""


def test_a_string_array_can_be_the_manifest(arrays, tmp_path):
    """`numpy.savez(..., manifest=json.dumps(...))` needs no zip tool."""
    text = json.dumps({"network": "mine"})
    np.savez(tmp_path / "a.npz", **arrays, manifest=text)
    np.savez(tmp_path / "b.npz", **arrays, manifest=np.bytes_(text))
    np.savez(tmp_path / "c.npz", **arrays, manifest=np.zeros(3))

    assert read_any_trace(tmp_path / "a.npz").network == "mine"
    assert read_any_trace(tmp_path / "b.npz").network == "mine"
    assert "its manifest is no text, got float64(3,), expected one string" in refusal(tmp_path / "c.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("manifest.json", text)
    assert "two manifests" in refusal(tmp_path / "a.npz")


def test_double_precision_and_other_byte_orders_are_read(arrays, tmp_path):
    """float64 stays float64; big-endian and Fortran-ordered arrays are the same numbers."""
    doubles = {name: np.asfortranarray(array.astype(">f8")) for name, array in arrays.items()}
    np.savez_compressed(tmp_path / "a.npz", **doubles)

    trace = read_any_trace(tmp_path / "a.npz")

    assert {value.dtype for value in trace.values.values()} == {np.dtype("float64")}
    assert all(np.array_equal(trace.values[name], arrays[name]) for name in arrays)
    assert trace.input_digest == digest(arrays["input"])


def test_a_trace_of_our_own_is_read_as_ever(make_resnet, x, tmp_path):
    """What `layerdiff capture` wrote comes back with its operations."""
    write_trace(capture(make_resnet(), x, until="layer1", keep=True), tmp_path / "a.safetensors")

    trace = read_any_trace(tmp_path / "a.safetensors")

    assert trace.ops[1].inputs == ("conv1",)
    assert trace.input_digest == digest(x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {}, "empty, got no array of a layer"),
        (lambda a: {"input": a["input"]}, "empty, got no array of a layer"),
        (lambda a: a | {"fc": a["fc"].astype(np.float16)}, "fc: wrong dtype, got float16, expected float32 or float64"),
        (lambda a: a | {"fc": a["fc"].astype(np.int64)}, "fc: wrong dtype, got int64"),
        (lambda a: a | {"input": a["input"].astype(np.uint8)}, "input: wrong dtype, got uint8"),
        (lambda a: a | {"fc": a["fc"].astype(float)}, "two dtypes, got float32 for conv1 and float64 for fc"),
        (lambda a: a | {"conv1": a["conv1"][0]}, "conv1: wrong shape, got (4, 3, 2), expected (n, features) or"),
        (lambda a: a | {"input": a["input"][0]}, "input: wrong shape, got (3, 6, 5), expected (n, c, h, w)"),
        (lambda a: a | {"fc": a["fc"][:, :0]}, "fc: empty, got shape (1, 0)"),
        (lambda a: a | {"input": a["input"] * np.float32("nan")}, "its input has 90 of 90 values that are not finite"),
        (lambda a: a | {"conv 1": a["conv1"]}, "not a layer id, got 'conv 1', expected one like layer1.0.conv1"),
        (lambda a: a | {"0.conv1": a["conv1"]}, "not a layer id, got '0.conv1'"),
    ],
    ids=["nothing", "only the input", "half", "integers", "bytes", "mixed", "rank", "input's rank", "no element", "nan",
         "space", "number"],
)  # fmt: skip
def test_arrays_that_are_no_values_are_refused(form, arrays, tmp_path, change, message):
    """What cannot be a layer's value is refused by its header, whatever the form."""
    assert message in refusal(written(form, tmp_path, change(arrays)))


def test_complex_numbers_and_objects_are_refused(arrays, tmp_path):
    """Complex values are no activations, and an array of objects is never unpickled."""
    np.savez(tmp_path / "a.npz", fc=arrays["fc"].astype(complex))
    np.savez(tmp_path / "b.npz", fc=np.array([[print]], dtype=object))
    (tmp_path / "c").mkdir()
    np.save(tmp_path / "c" / "fc.npy", np.array([[print]], dtype=object))

    assert "fc: wrong dtype, got complex128" in refusal(tmp_path / "a.npz")
    assert "an array of Python objects, which is never loaded" in refusal(tmp_path / "b.npz")
    assert "an array of Python objects, which is never loaded" in refusal(tmp_path / "c")


def test_all_of_one_kind_is_said_at_once(form, arrays, tmp_path):
    """Several wrong names, or several wrong dtypes, are all named."""
    (tmp_path / "names").mkdir()
    names = refusal(written(form, tmp_path / "names", {"a b": arrays["fc"], "c-d": arrays["fc"]}))
    dtypes = refusal(written(form, tmp_path, {"a": arrays["fc"].astype(int), "b": arrays["fc"].astype(np.float16)}))

    assert "and 1 more like it" in names
    assert "'a b'" in names
    assert "'c-d'" in names
    assert "map your names to layer ids in a manifest" in names
    assert "a: wrong dtype, got int64" in dtypes
    assert "b: wrong dtype, got float16" in dtypes


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "its manifest is not JSON"),
        ("[]", "its manifest is no object, got a list"),
        ('{"network": "a", "network": "b"}', "its manifest says 'network' twice"),
        ({"layouts": "NHWC"}, "no such key, got 'layouts', expected perhaps layout"),
        ({"format": "layerdiff trace manifest 9"}, "format: got 'layerdiff trace manifest 9', expected"),
        ({"layout": "CHWN"}, "layout: got 'CHWN', expected NCHW or NHWC"),
        ({"dtype": "half"}, "dtype: got 'half', expected float32 or float64"),
        ({"network": 3}, "network: got 3, expected text"),
        ({"input": "inputs"}, "its manifest names the input 'inputs', got no such array"),
        ({"layers": 3}, "layers: got 3, expected a list"),
        ({"layers": [3]}, "layers: got 3, expected a layer id"),
        ({"layers": [{"file": "fc"}]}, "got the id None, expected a layer id"),
        ({"layers": [{"id": "fc", "files": "fc"}]}, "no such key, got 'files', expected perhaps file"),
        ({"layers": [{"id": "fc", "file": 3}]}, "fc: got the file 3, expected text"),
        ({"layers": [{"id": "fc", "shape": "1x10"}]}, "fc: got the shape '1x10', expected a list of whole numbers"),
        ({"layers": [{"id": "fc", "dtype": "f4"}]}, "fc: got the dtype 'f4', expected float32 or float64"),
        ({"layers": {"fc": 3}}, "layers: got 'fc': 3, expected a layer id in quotes"),
        ({"layers": {"conv1": "a", "fc": "a"}}, "two entries are for a"),
        ({"layers": [{"id": "a", "file": "fc"}, {"id": "b", "file": "fc.npy"}]}, "two entries are for the file fc"),
        ({"layers": ["conv1", "fc", "bn1"]}, "its manifest lists 'bn1', got no such array"),
        ({"layers": ["conv1", "fcc"]}, "its manifest lists 'fcc', got no such array, perhaps 'fc'"),
        ({"layers": ["fc"]}, "its manifest does not list 'conv1', got its array"),
        ({"layers": {"conv1": "conv1", "fc": "my fc"}}, "not a layer id, got 'my fc'"),
        ({"layers": {"conv1": "conv1", "fc": "input"}}, "not a layer id, got 'input'"),
        ({"layers": ["conv1", {"id": "fc", "shape": [10, 1]}]}, "fc: says the shape is (10, 1), got an array of"),
        ({"dtype": "float64"}, "conv1: says the dtype is float64, got an array of float32"),
    ],
    ids=["cut", "list", "key twice", "key", "format", "layout", "dtype", "network", "input", "layers", "entry", "no id",
         "entry key", "file", "shape", "entry dtype", "map", "one id twice", "one file twice", "absent", "near",
         "unlisted", "no layer id", "the input", "other shape", "other dtype"],
)  # fmt: skip
def test_a_wrong_manifest_is_refused(form, arrays, tmp_path, manifest, message):
    """A manifest that is spoilt, or at odds with the arrays beside it, is refused with what is wrong."""
    assert message in refusal(written(form, tmp_path, arrays, manifest))


def test_several_faults_of_a_manifest_are_said_at_once(arrays, tmp_path):
    """One look at the messages is enough to repair it."""
    text = refusal(written("npz", tmp_path, arrays, {"layout": "x", "dtype": "y", "netwrok": "z"}))

    assert "and 2 more like it" in text
    assert all(part in text for part in ("layout: got 'x'", "dtype: got 'y'", "perhaps network"))


def test_a_path_that_is_no_trace_is_refused(tmp_path):
    """No such file, a file of another kind, and text in the place of each form."""
    for name in ("a.npz", "a.safetensors", "a.pth", "a"):
        (tmp_path / name).write_text("hello")

    assert "no such file, expected a trace: .safetensors, .npz, or a folder" in refusal(tmp_path / "none.npz")
    assert "not a readable .npz file" in refusal(tmp_path / "a.npz")
    assert "not a readable safetensors file" in refusal(tmp_path / "a.safetensors")
    assert "not a trace, got a .pth file" in refusal(tmp_path / "a.pth")
    assert "not a trace, got a file without a suffix" in refusal(tmp_path / "a")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_file_that_is_cut_short_is_refused(form, arrays, tmp_path, share):
    """However much of it is left."""
    path = written(form, tmp_path, arrays)
    file = path / "fc.npy" if form == "folder" else path
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])

    assert any(text in refusal(path) for text in ("not a readable", "cut short", "not an array in NumPy's format"))


def test_a_spoilt_member_is_refused(arrays, tmp_path):
    """A flipped byte inside a compressed member is found by its checksum, not taken for a value."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, conv1=np.random.default_rng(0).standard_normal((1, 64, 9, 9)).astype(np.float32))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)

    assert any(text in refusal(path) for text in ("cannot be read", "not a readable .npz file"))


def header(shape, descr="<f4"):
    """The beginning of an array in NumPy's format that claims a shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_a_shape_that_is_not_there_is_not_believed(tmp_path):
    """A header that declares more than the file holds is refused before anything is made room for."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "fc.npy").write_bytes(header((10**6, 10**9)))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("fc.npy", header((1, 2**60)) + bytes(64))
        archive.writestr("conv1.npy", b"no array")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("fc.npy", header((-1, -1)) + bytes(4))

    assert "cut short or spoilt, got 0 bytes, expected 4,000,000,000,000,000" in refusal(tmp_path / "a")
    assert "cut short or spoilt, got 64 bytes" in refusal(tmp_path / "b.npz")
    assert "cut short or spoilt" in refusal(tmp_path / "c.npz")


def test_a_small_file_of_endless_zeros_is_not_unpacked(form, arrays, tmp_path, monkeypatch):
    """What all arrays declare together is bounded, before the first of them is loaded."""
    monkeypatch.setattr(trace_stored, "MOST_BYTES", 400)
    path = written(form, tmp_path, arrays)
    text = refusal(path)

    assert "too large, its arrays declare 496 bytes, expected at most 400" in text
    assert "the largest is input, of shape (1, 3, 6, 5)" in text


def test_names_that_lead_elsewhere_are_refused(arrays, tmp_path):
    """A name is never a path out of the trace, a name stands once, and a link is not followed out of a folder."""
    member = io.BytesIO()
    np.save(member, arrays["fc"])
    for name, file in (("../fc.npy", "a"), ("/fc.npy", "b"), ("..\\fc.npy", "c"), ("layer1/", "d"), ("c:/fc.npy", "e")):
        with zipfile.ZipFile(tmp_path / f"{file}.npz", "w") as archive:
            archive.writestr(name, member.getvalue())
        assert "not a name for an array, got" in refusal(tmp_path / f"{file}.npz")
    save_file({"../fc": arrays["fc"]}, tmp_path / "a.safetensors")
    assert "not a name for an array, got '../fc'" in refusal(tmp_path / "a.safetensors")
    np.save(tmp_path / "secret.npy", arrays["fc"])
    path = written("folder", tmp_path, {"conv1": arrays["conv1"]})
    (path / "fc.npy").symlink_to(tmp_path / "secret.npy")
    assert "not a file in it, got fc.npy" in refusal(path)
    (path / "fc.npy").unlink()
    (path / "more").symlink_to(tmp_path)
    assert "not a file in it, got more" in refusal(path)
    (path / "more").unlink()
    (path / "manifest.json").symlink_to(tmp_path / "secret.npy")
    assert "not a file in the folder, expected a manifest" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_stands_once(arrays, tmp_path):
    """Two members of one name are refused, also where only one of them has the suffix."""
    for second in ("fc.npy", "fc"):
        path = tmp_path / "a.npz"
        np.savez(path, fc=arrays["fc"])
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(second, zipfile.ZipFile(path).read("fc.npy"))

        assert any(text in refusal(path) for text in ("stands in it twice, got 'fc.npy' 2 times", "have one name"))


def test_a_file_in_a_folder_below_needs_a_mapping(arrays, tmp_path):
    """Nothing below is skipped in silence: it is named by its path, and mapped."""
    path = written("folder", tmp_path, {"conv1": arrays["conv1"]})
    (path / "head").mkdir()
    np.save(path / "head" / "fc.npy", arrays["fc"])

    assert "not a layer id, got 'head/fc'" in refusal(path)

    (path / "manifest.json").write_text(json.dumps({"layers": {"conv1": "conv1", "head/fc": "fc"}}))
    assert np.array_equal(read_any_trace(path).values["fc"], arrays["fc"])


def test_a_manifest_of_any_size_is_not_read(arrays, tmp_path):
    """A manifest that unpacks to more than any manifest is refused unread."""
    np.savez(tmp_path / "a.npz", **arrays)
    with zipfile.ZipFile(tmp_path / "a.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes((1 << 24) + 1))

    assert "its manifest is too large, got 16,777,217 bytes" in refusal(tmp_path / "a.npz")
