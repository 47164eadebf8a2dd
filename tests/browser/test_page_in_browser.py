"""The page in a real browser, opened from the disk with the network cut."""

from __future__ import annotations

import pytest
from html_runs import RUNS

DESKTOP, PHONE = (1280, 800), (390, 844)
FAULT = "layer2.0.downsample.1"


@pytest.mark.parametrize("name", RUNS)
def test_the_page_loads_itself_and_nothing_else(opened, name):
    """Every kind of run: no request but for the file and what is in it, no error, no breach of its policy."""
    found = opened(name)
    found.page.wait_for_timeout(50)

    assert found.errors == []
    assert found.requests[0].startswith("file:///")
    assert all(one.startswith("data:") for one in found.requests[1:])
    assert found.page.evaluate("document.documentElement.classList.contains('js')")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("name", ["same", "with evidence", "crash"])
def test_the_answer_is_there_without_scrolling(opened, name, scripts, size):
    """Verdict, counts, first cause and the command lie in the window, and nothing is wider than it."""
    page = opened(name, size=size, scripts=scripts).page

    parts = [page.locator("h1"), page.locator(".said").first]
    if name != "same":
        parts.append(page.locator(".cause").first)
    if name == "with evidence":
        parts.append(page.locator(".again code"))
    for part in parts:
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1], part


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_wider_than_a_phone(opened, name):
    """At 390 pixels the page itself does not scroll sideways, also with everything open."""
    page = opened(name, size=PHONE).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def shown(page):
    """The ids of the layers that the list shows, folded or not."""
    return page.locator(".layers details.row:not([hidden])").evaluate_all("rows => rows.map((row) => row.id)")


def test_the_filter_finds_by_words_and_by_status(opened):
    """All words must be in the row; statuses can be left out; how many are left is said, and folds open."""
    page = opened("different").page
    everything = shown(page)
    count = page.locator(".filter output")
    assert count.inner_text() == f"{len(everything)} of {len(everything)} layers"

    page.fill(".filter input[type=search]", "layer2 batch_norm")
    assert shown(page) == [FAULT]
    assert count.inner_text() == f"1 of {len(everything)} layers"

    page.fill(".filter input[type=search]", "layer1")
    assert len(shown(page)) == 8
    assert page.locator(f"[id='{shown(page)[3]}'] > summary").is_visible(), "its fold is open"

    page.keyboard.press("Escape")
    assert shown(page) == everything
    assert not page.locator("[id='layer1.3.conv1'] > summary").is_visible(), "and closed again"

    page.uncheck(".filter input[value=same]")
    page.uncheck(".filter input[value=inherited]")
    assert shown(page) == [FAULT, "layer2.0.conv2"]


def test_the_keys_go_through_the_layers(opened):
    """J and k go to the next layer and back, Enter opens it, / goes to the filter, Escape leaves it."""
    page = opened("different").page
    focused = "document.activeElement.parentElement.id"

    page.keyboard.press("j")
    assert page.evaluate(focused) == FAULT
    assert page.url.endswith(f"#{FAULT}")
    page.keyboard.press("j")
    assert page.evaluate(focused) == "layer2.0.conv2"
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert page.evaluate(focused) == FAULT
    page.keyboard.press("Enter")
    assert page.locator(f"[id='{FAULT}']").get_attribute("open") is None

    page.keyboard.press("/")
    page.keyboard.type("j k/")
    assert page.input_value(".filter input[type=search]") == "j k/"
    page.keyboard.press("Escape")
    assert page.input_value(".filter input[type=search]") == ""
    assert page.evaluate("document.activeElement.tagName") == "BODY"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_fragment_leads_to_its_layer(opened, scripts):
    """`#LAYER` shows a layer that is folded away, and marks it, whatever signs its name has."""
    name = "layer3.2.a_rather_long_name_of_a_module.conv1"
    page = opened("different", fragment=f"#{name}", scripts=scripts).page
    page.wait_for_timeout(100)

    row = page.locator(f"[id='{name}']")
    box = row.bounding_box()
    assert 0 <= box["y"] < DESKTOP[1]
    assert row.evaluate("row => getComputedStyle(row).boxShadow") != "none"
    if scripts:
        assert row.get_attribute("open") == ""
        page.evaluate(f"location.hash = '{FAULT}'")
        page.wait_for_timeout(50)
        assert page.locator(".row.marked").get_attribute("id") == FAULT


PIXELS = """image => {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    return Array.from(pen.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


def test_heat_maps_show_and_the_slider_changes_them(opened):
    """All three maps have many colours, those of the cells; the slider draws another channel, and says which."""
    page = opened("with evidence").page
    section = page.locator(".maps").first
    images = section.locator("img")
    before = [images.nth(i).evaluate(PIXELS) for i in range(3)]
    assert all(len(set(zip(one[::4], one[1::4], one[2::4], strict=True))) > 100 for one in before)
    assert section.locator("output").inner_text().startswith("channel 0 of image 0: 784 values beyond")

    section.locator("input[type=range]").fill("2")

    page.wait_for_function(
        "[...document.querySelectorAll('.maps')[0].querySelectorAll('img')].every((i) => i.complete)"
    )
    after = [images.nth(i).evaluate(PIXELS) for i in range(3)]
    assert all(a != b and len(a) == len(b) for a, b in zip(after, before, strict=True))
    assert section.locator("output").inner_text().startswith("channel 14 of image 0: 782 values beyond")
    assert images.nth(0).get_attribute("alt").startswith("Expected, channel 14")
    section.locator("input[type=range]").fill("0")
    page.wait_for_function(
        "[...document.querySelectorAll('.maps')[0].querySelectorAll('img')].every((i) => i.complete)"
    )
    assert [images.nth(i).evaluate(PIXELS) for i in range(3)] == before, "the script draws what the page came with"


def test_without_scripts_the_page_says_it_all(opened):
    """Answer, charts, first maps, list and figures; nothing is there that only a script could work."""
    page = opened("with evidence", scripts=False).page

    assert page.locator("h1").inner_text().endswith("Different")
    for part in (".answer .cause", ".chart.wide svg", ".maps img", ".piece > .scroll .figures", "ol.code .here"):
        assert page.locator(part).first.is_visible(), part
    for part in (".filter", ".slider", ".copy"):
        assert not page.locator(part).first.is_visible(), part
    page.locator(".layers .fold > summary").first.click()
    assert page.locator(".layers .fold .row > summary").first.is_visible()


def test_a_cross_in_the_chart_leads_to_its_layer(opened):
    """A click on the cross of a layer at fault opens it."""
    page = opened("different").page

    page.locator(".chart.wide a").first.click()

    page.wait_for_function("location.hash !== ''")
    assert page.url.endswith(f"#{FAULT}")


def test_several_networks_have_parts_of_their_own(opened):
    """Each has its answer, its layers under ids of its own, and a filter that leaves the others alone."""
    page = opened("several").page

    assert page.locator(".candidates li").count() == 5
    assert page.locator("[id='2/layer1.0.conv1']").count() == 1
    page.locator(".filter input[type=search]").nth(1).fill("nothing like it")
    assert page.locator(".filter output").nth(0).inner_text() == "9 of 9 layers"
    assert page.locator(".filter output").nth(1).inner_text() == "0 of 9 layers"
    for head in ("The way back", "Training"):
        assert page.get_by_role("heading", name=head).is_visible()


def test_the_command_is_copied(opened):
    """The button copies what stands beside it, or at least selects it."""
    page = opened("with evidence").page
    command = page.locator(".again code").inner_text()

    page.get_by_role("button", name="Copy the command").click()

    page.wait_for_function("document.querySelector('.copy').textContent !== 'Copy'")
    if page.locator(".copy").inner_text() != "Copied":
        assert page.evaluate("getSelection().toString()") == command


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_on_paper_all_is_open(opened, scripts):
    """Printed, folds and tables are open, what only a screen can use is gone, and nothing is cut off at the side."""
    page = opened("with evidence", size=(700, 1000), scripts=scripts).page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert page.locator(".layers .fold .row > summary").first.is_visible()
    assert page.locator(".graph").last.is_visible()
    assert not page.locator(".filter").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".layers .fold[open]").count() == 0
