"""The pieces that the fused network is made of: cuts, threads, barriers, Winograd's matrices, what is refused."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from fused_kit import SMALL, images, network

from layerdiff.handwritten.fused import FusedResNet, Tricks, blas, build, magnification, usable_cpus
from layerdiff.handwritten.fused.bands import cut_bands, share
from layerdiff.handwritten.fused.barriers import to_phases
from layerdiff.handwritten.fused.blocks import SMALL as LIMIT
from layerdiff.handwritten.fused.blocks import cut_product
from layerdiff.handwritten.fused.calls import Step, call, copy
from layerdiff.handwritten.fused.interleaving import interleave
from layerdiff.handwritten.fused.products import lay_out, product, scratch_size
from layerdiff.handwritten.fused.team import Team
from layerdiff.handwritten.fused.winograd_matrices import transforms


@pytest.mark.parametrize("images", [1, 2, 3, 8])
@pytest.mark.parametrize(("rows", "width"), [(56, 56), (28, 28), (14, 14), (7, 7), (57, 49), (1, 1), (300, 2)])
def test_bands_cover_every_row_once_and_in_order(images, rows, width):
    """Side by side the bands are all rows of all images."""
    found = []
    for band in cut_bands(images, rows, width, about=392, whole=300):
        found += [(i, r) for i in range(*band.images) for r in range(*band.rows)]
    assert found == [(i, r) for i in range(images) for r in range(rows)]


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_shares_cover_everything_once(threads):
    """Of any number of things each thread gets what begins where its neighbour's share ends."""
    for count in range(12):
        parts = [share(count, threads, thread) for thread in range(threads)]
        assert (parts[0].start, parts[-1].stop) == (0, count)
        assert all(one.stop == other.start for one, other in pairwise(parts))


@pytest.mark.parametrize("depth", [36, 64, 147, 256, 512, 576, 2048, 4608])
@pytest.mark.parametrize("rows", [1, 2, 49, 98, 392])
@pytest.mark.parametrize("columns", [32, 48, 64, 250, 512])
def test_blocks_divide_the_product_and_small_ones_stay_below_the_limit(rows, depth, columns):
    """Pieces and columns divide what they cut, and no block is larger than the product."""
    for small in (True, False):
        blocks = cut_product(rows, depth, columns, small=small, late=True)
        assert depth % blocks.pieces == columns % blocks.columns == 0
        assert 1 <= blocks.rows <= rows
        assert not blocks.small or blocks.rows * (depth // blocks.pieces) * blocks.columns <= LIMIT


def _times(left, matrix, blocks, columns):
    """`left @ matrix`, the blocks `columns` of it, in an array of their own."""
    weights = lay_out(matrix, blocks, np.empty(matrix.size, left.dtype))
    out = np.full((len(left), (columns.stop - columns.start) * blocks.columns), np.nan, left.dtype)
    with blas.one_thread():
        for one in product(left, weights, out, columns, np.empty(scratch_size(len(left), weights), left.dtype)):
            one.run()
    return out


@pytest.mark.parametrize("rows", [1, 98, 196])
@pytest.mark.parametrize("depth", [256, 576, 1536, 4608])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_share_of_the_columns_has_the_bits_that_all_of_them_have(rows, depth, dtype):
    """However many threads share the columns of a product out, each sum of pieces is made in the same order."""
    rng = np.random.default_rng(0)
    left, matrix = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, 192))
    blocks = cut_product(rows, depth, 192, small=True, late=True)

    whole = _times(left, matrix, blocks, slice(0, 3))

    exact = left.astype(np.float64) @ matrix.astype(dtype).astype(np.float64)
    allowed = depth * np.finfo(dtype).eps * (np.abs(left) @ np.abs(matrix))
    assert (np.abs(whole - exact) <= allowed).all()
    for first, last in ((0, 1), (1, 3), (0, 2), (2, 3)):
        some = _times(left, matrix, blocks, slice(first, last))
        assert np.array_equal(some, whole[:, first * 64 : last * 64])


@pytest.mark.parametrize("m", [2, 4])
def test_winograds_matrices_give_the_convolution_of_a_tile(m):
    """Transformed, multiplied and transformed back, a tile is what the definition gives, to within rounding."""
    rng = np.random.default_rng(0)
    side = m + 2
    image, kernel = rng.standard_normal((side, side)), rng.standard_normal((3, 3))
    t = transforms(m)
    actual = t.output @ ((t.kernel @ kernel.reshape(-1)) * (t.image @ image.reshape(-1)))
    expected = [(image[i : i + 3, j : j + 3] * kernel).sum() for i in range(m) for j in range(m)]
    allowed = 3 * side**2 * magnification(m) * np.linalg.norm(kernel) * np.linalg.norm(image) * 2.0**-53
    assert np.abs(actual - expected).max() <= allowed


@pytest.mark.parametrize("m", [2, 4])
def test_the_magnification_bounds_the_terms_of_every_output(m):
    """No tile and kernel have terms that add up to more; the ones made for it come to a large part of it."""
    rng = np.random.default_rng(0)
    t = transforms(m)
    pairs = [(rng.standard_normal(len(t.image)), rng.standard_normal(9)) for _ in range(200)]
    pairs += [(image, kernel) for image, kernel in zip(t.image, t.kernel, strict=True)]
    most = 0.0
    for image, kernel in pairs:
        terms = (np.abs(t.output) @ np.abs((t.kernel @ kernel) * (t.image @ image))).max()
        most = max(most, float(terms / (np.linalg.norm(image) * np.linalg.norm(kernel))))
    assert magnification(m) / 10 < most <= magnification(m) * (1 + 1e-12)


def test_the_magnifications_are_those_that_the_docs_name():
    """15 for F(2x2), 84 for F(4x4)."""
    assert magnification(2) == pytest.approx(14.93, abs=0.01)
    assert magnification(4) == pytest.approx(84.06, abs=0.01)


def test_threads_meet_where_one_needs_what_another_wrote_and_nowhere_else():
    """Rows of one's own need no meeting, a neighbour's row does, and so does writing over what a neighbour reads."""
    a, b, c = (np.zeros((4, 3)) for _ in range(3))

    def step(source, out, *, halo=0):
        top = call(np.negative, source[: 2 + halo], out=out[: 2 + halo])
        return Step((((top,),), ((call(np.negative, source[2:], out=out[2:]),),)))

    own, reads_over = step(a, b), Step((((copy(b[1:3], c[:2]),),), ((copy(b[2:], c[2:]),),)))
    assert len(to_phases([own, step(b, c)], 2)) == 1
    assert len(to_phases([own, reads_over], 2)) == 2
    assert len(to_phases([reads_over, own], 2)) == 2
    assert len(to_phases([own, step(a, c)], 2)) == 1


def test_columns_of_ones_own_are_no_reason_to_meet():
    """Two halves of the columns lie between each other in memory and share nothing."""
    a, b = np.zeros((4, 6)), np.zeros((4, 6))

    def halves(source, out):
        return Step(tuple(((copy(source[:, i : i + 3], out[:, i : i + 3]),),) for i in (0, 3)))

    assert len(to_phases([halves(a, b), halves(b, a)], 2)) == 1


def test_interleaving_joins_neighbours_on_the_same_rows_alone():
    """Two local steps with one cut become one, band by band; another cut or a step that is not local stays apart."""
    a = np.zeros((4, 2))
    first, second = call(np.negative, a[:2], out=a[:2]), call(np.negative, a[2:], out=a[2:])
    local = Step((((first,), (second,)),), bands="rows", local=True)
    (joined,) = interleave([local, local])
    assert joined.parts == (((first, first), (second, second)),)
    other = Step(local.parts, bands="tiles", local=True)
    far = Step(local.parts, bands="rows")
    apart = [local, other, local, far, local]
    assert interleave(apart) == apart


def test_a_team_does_every_call_of_a_phase_before_the_next():
    """Over many phases no thread sees another one behind."""
    seen, size = [0, 0, 0], 3
    behind = []

    def work(thread):
        seen[thread] += 1
        behind.append(max(seen) - min(seen) > 1)

    def check(thread):
        behind.append(min(seen) < seen[thread])

    phases = []
    for _ in range(200):
        phases.append(tuple((lambda t=t: work(t),) for t in range(size)))
        phases.append(tuple((lambda t=t: check(t),) for t in range(size)))
    Team(size).run(phases)
    assert seen == [200] * size
    assert not any(behind)


@pytest.mark.parametrize("thread", [0, 1])
def test_what_a_call_raises_reaches_the_caller_and_ends_the_run(thread):
    """The error of any thread is raised where the team was asked; later calls are left out; the next run works."""
    done = []

    def fail():
        raise MemoryError("none left")

    team = Team(2)
    failing = tuple((fail,) if t == thread else () for t in range(2))
    with pytest.raises(MemoryError, match="none left"):
        team.run([failing, ((lambda: done.append(0),), (lambda: done.append(1),))])
    assert done == []
    team.run([((lambda: done.append(0),), (lambda: done.append(1),))])
    assert sorted(done) == [0, 1]


def test_one_network_serves_several_callers_at_once():
    """Four threads that share a network each get what they would get alone."""
    config, state, _ = network("bottleneck")
    fused = FusedResNet(config, state, threads=2)
    batches = [images(1, 3, 40, 40, seed=i).astype(np.float32) for i in range(4)]
    expected = [fused(x) for x in batches]
    got = {}
    callers = [threading.Thread(target=lambda i=i: got.__setitem__(i, fused(batches[i]))) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(np.array_equal(got[i], expected[i]) for i in range(4))


def test_the_blas_has_its_threads_back_after_a_call():
    """One thread while a plan runs, as many as before afterwards."""
    before = [library["num_threads"] for library in blas._controller().info()]
    with blas.one_thread():
        assert {library["num_threads"] for library in blas._controller().info()} == {1}
    assert [library["num_threads"] for library in blas._controller().info()] == before


@pytest.mark.parametrize(
    ("libraries", "small"),
    [
        ([{"internal_api": "openblas", "architecture": "SkylakeX"}], True),
        ([{"internal_api": "openblas", "architecture": "Haswell"}], False),
        ([{"internal_api": "mkl"}], False),
        ([{"internal_api": "openblas", "architecture": "SkylakeX"}, {"internal_api": "mkl"}], False),
        ([], False),
    ],
)
def test_small_kernels_are_trusted_where_every_blas_has_them(monkeypatch, libraries, small):
    """OpenBLAS with AVX-512 has them; another processor, another BLAS, or none that can be asked, has not."""
    monkeypatch.setattr(blas, "_controller", type("C", (), {"info": lambda self: libraries}))
    assert blas.has_small_kernels() is small


def test_threads_are_as_many_as_the_cpus_one_may_use(monkeypatch):
    """The affinity counts where there is one, else the machine's CPUs."""
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert usable_cpus() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert usable_cpus() == 6


@pytest.fixture(scope="module")
def small():
    """A network for one thread."""
    config, state, _ = network("basic")
    return FusedResNet(config, state, threads=1)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.zeros((1, 3, 8, 8)), "dtype float64 instead of float32"),
        (np.zeros((3, 8, 8), np.float32), "shape (3, 8, 8), not (n, c, h, w)"),
        (np.zeros((1, 8, 8, 3), np.float32), "8 channels instead of 3"),
        (np.zeros((0, 3, 8, 8), np.float32), "no pixels in shape (0, 3, 8, 8)"),
        (np.zeros((1, 8, 8, 4), np.int64), "dtype int64 instead of float32; 8 channels instead of 3"),
        ([[1.0]], "not an array but list"),
    ],
)
def test_other_than_images_is_refused(small, x, found):
    """Everything that is wrong with what was passed stands in one line."""
    for use in (small, small.blocks):
        with pytest.raises(ValueError, match="not images") as caught:
            use(x)
        assert str(caught.value) == (
            f"FusedResNet: not images for this network, got {found}, expected float32 of (n, 3, h, w)"
        )
        assert caught.value.__notes__ == [
            "help: channels come first, and x.astype(np.float32) converts; one image is a batch of one with x[None]"
        ]


def test_a_state_that_does_not_fit_is_refused_with_all_that_is_wrong():
    """Missing, unexpected, misshapen, not floating and not finite tensors each get a note that lists them."""
    _, state, _ = network("basic")
    state = dict(state) | {
        "layer1.0.conv1.weight": np.zeros((64, 64, 1, 1), np.float32),
        "layer2.0.bn1.bias": np.zeros(128, np.int64),
        "bn1.bias": np.full(64, np.nan, np.float32),
        "head.weight": np.zeros(3, np.float32),
    }
    del state["fc.weight"], state["bn1.weight"]
    with pytest.raises(ValueError, match="the tensors do not fit, got 6 problems") as caught:
        FusedResNet(SMALL["basic"], state)
    assert caught.value.__notes__[1:] == [
        "note: missing: bn1.weight, fc.weight",
        "note: unexpected: head.weight",
        "note: misshapen: layer1.0.conv1.weight (64, 64, 1, 1) instead of (64, 64, 3, 3)",
        "note: not floating: layer2.0.bn1.bias int64",
        "note: not finite: bn1.bias",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "FusedResNet: unusable threads, got 0, expected at least 1"),
        ({"dtype": np.float16}, "FusedResNet: unusable dtype, got float16, expected float32 or float64"),
        ({"dtype": "int32"}, "FusedResNet: unusable dtype, got int32, expected float32 or float64"),
        (
            {"tricks": Tricks(blocked="sometimes")},
            "FusedResNet: unknown way to block products, got 'sometimes', expected auto, always or never",
        ),
    ],
    ids=str,
)
def test_arguments_of_no_use_are_refused(options, message):
    """Each says what it got and what it expected."""
    _, state, _ = network("basic")
    with pytest.raises(ValueError, match="FusedResNet") as caught:
        FusedResNet(SMALL["basic"], state, **options)
    assert str(caught.value) == message
    assert len(caught.value.__notes__) == 1


def test_an_unknown_architecture_is_refused():
    """As everywhere, with the names that there are."""
    with pytest.raises(ValueError, match="build: unknown network, got 'resnet51'"):
        build("resnet51", {})
