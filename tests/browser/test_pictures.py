"""The pages of real runs, and the pictures of them in the docs."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import layerdiff
from layerdiff.compare.render.html.page import render_html
from layerdiff.compare.saved import read_run, run_to_json

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "docs" / "reports"
HEIGHTS = {"same": 1080, "different": 2000}
LARGEST = 200_000


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """The pages of our own ResNet-18 and of one with a fault, by name, made of saved runs."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name, network in (("same", "torch"), ("different", "net.py:wrong")):
        with contextlib.chdir(HERE):
            run = layerdiff.run(network, expected="torchvision:resnet18", weights="synthetic", size=(64, 64))
        command = f"layerdiff run --actual {network} --expected torchvision:resnet18 --weights synthetic --size 64"
        run = replace(run, environment={**run.environment, "command": command})
        # Where the checkout lies is nobody's business.
        content = run_to_json(run).decode().replace(str(HERE), "/home/you")
        (folder / f"{name}.json").write_text(content)
        (folder / f"{name}.html").write_text(render_html(read_run(folder / f"{name}.json")), encoding="utf-8")
        found[name] = (folder / f"{name}.html").as_uri()
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["same", "different"])
def test_a_real_run_looks_as_the_docs_show_it(opened, real, name, dark):
    """The page of a real run opens without an error; LAYERDIFF_PICTURES=write takes its picture for the docs."""
    height = HEIGHTS[name]
    found = opened(real[name], size=(1280, height), dark=dark)
    picture = Image.open(io.BytesIO(found.page.screenshot()))

    assert found.errors == []
    assert picture.size == (1280, height)
    corner = sum(picture.convert("RGB").getpixel((5, 5))) / 3
    assert corner < 60 if dark else corner > 240
    if os.environ.get("LAYERDIFF_PICTURES") == "write":
        PICTURES.mkdir(exist_ok=True)
        path = PICTURES / f"{name}-{'dark' if dark else 'light'}.png"
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(path, optimize=True)
        assert path.stat().st_size < LARGEST


def test_a_real_fault_is_shown_with_its_evidence(opened, real):
    """Of the layer at fault the page has the cause, the maps, the histogram, the line of code and both graphs."""
    page = opened(real["different"]).page

    assert page.locator("h1").inner_text().endswith("Different")
    assert "eps is 0.001, expected 1e-05" in page.locator(".cause .title").inner_text()
    row = page.locator("[id='layer2.0.downsample.1']")
    assert row.get_attribute("open") == ""
    for part in (".maps img", ".chart svg", "ol.code .here"):
        assert row.locator(part).first.is_visible()
    assert "self.shortcut" in row.locator("ol.code .here").inner_text()
    assert page.locator(".graph .node.fault").count() == 2
    assert page.locator(".graph .bracket.right").count() > 0


@pytest.mark.parametrize("name", ["same", "different"])
def test_pictures_are_in_the_docs(name):
    """Both pictures of each page are there, small, and shown in docs/reports.md."""
    text = (HERE.parents[1] / "docs" / "reports.md").read_text()
    for look in ("light", "dark"):
        path = PICTURES / f"{name}-{look}.png"
        assert path.stat().st_size < LARGEST
        with Image.open(path) as picture:
            assert picture.width == 1280
        assert f"reports/{name}-{look}.png" in text
