"""The page in a headless Chromium, by mouse, keyboard and phone."""

import base64

import numpy as np
import pytest
from PIL import Image

from .browser import Browser, find_browser
from .conftest import png
from .fakes import HEIGHT, draw_bars

pytestmark = pytest.mark.skipif(find_browser() is None,
                                reason="no Chromium (chromium, google-chrome) on PATH")
DONE = "!document.body.classList.contains('busy') && document.querySelectorAll('#list>li').length"
TEXTS = "[...document.querySelectorAll('#list .text')].map(e => e.textContent)"
ON = "[...document.querySelectorAll('#list>li')].findIndex(e => e.classList.contains('on'))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(find_browser(), tmp_path_factory.mktemp("chromium"))
    yield one
    one.close()


@pytest.fixture
def page(browser, shared):
    """The page, opened anew on a desktop's screen; the console must stay empty."""
    browser.messages.clear()
    browser.size(1200, 800)
    browser.open(f"http://127.0.0.1:{shared.port}/")
    browser.wait("document.getElementById('model').options.length")
    yield browser
    assert not browser.messages


def one_line(page):
    page.run("document.getElementById('lines').value = 'one'")


def fill(page, tmp_path, text="some text"):
    """Choose a file with one line."""
    one_line(page)
    path = tmp_path / "line.png"
    path.write_bytes(png(text))
    page.choose_files("#file", path)
    page.wait(DONE)


def test_a_chosen_image_is_read_boxed_and_coloured(page, tmp_path):
    fill(page, tmp_path)
    assert page.run(TEXTS) == ["some text"]
    assert page.run("document.getElementById('status').textContent").startswith("1 line in ")
    # The outline lies on the image as it is shown.
    outline, image = (page.run(f"(r => [r.left, r.top, r.right, r.bottom])(document."
                               f"querySelector('{where}').getBoundingClientRect())")
                      for where in ("#overlay polygon", "#image"))
    np.testing.assert_allclose(outline, image, atol=4)
    assert page.run("document.querySelectorAll('#list .text > .c3').length") == len("some text")
    assert page.run("document.querySelector('#list .text > span').title") == "s 100%"
    page.run("document.querySelector('#list .text > span').dispatchEvent("
             "new MouseEvent('mouseenter'))")
    assert page.run("document.querySelectorAll('#overlay .spot').length") == 1


@pytest.mark.parametrize("event, where", [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_images_are_dropped_and_pasted(page, event, where):
    one_line(page)
    content = base64.b64encode(png("dropped")).decode()
    page.run(f"""
        const bytes = Uint8Array.from(atob("{content}"), c => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "it.png", {{type: "image/png"}}));
        const event = new Event("{event}", {{bubbles: true, cancelable: true}});
        event.{where} = data;
        document.body.dispatchEvent(event);""")
    page.wait(DONE)
    assert page.run(TEXTS) == ["dropped"]


def test_copying_and_downloads(page, tmp_path):
    fill(page, tmp_path)
    page.run("window.taken = []; navigator.clipboard.writeText = async text => taken.push(text);"
             "URL.createObjectURL = blob => (taken.push(blob), 'blob:none');"
             "HTMLAnchorElement.prototype.click = function () { taken.push(this.download); }; 0")
    page.run("document.getElementById('copy').click()")
    page.wait("taken.length === 1")
    assert page.run("taken[0]") == "some text"
    for format, name, content in (("text", "line.txt", "some text\n"), ("alto", "line.alto.xml",
                                  "<alto "), ("page", "line.page.xml", "<PcGts "),
                                  ("json", "line.json", '"text": "some text"')):
        page.run(f"taken.length = 0; document.querySelector('[data-format={format}]').click()")
        page.wait("taken.length === 2")
        assert page.run("taken[1]") == name and content in page.run("taken[0].text()")


def test_the_keyboard_alone_is_enough(page, tmp_path):
    pytest.importorskip("pyctcdecode")
    one_line(page)
    page.run("""window.fetch = (real => (url, options) => real(url, options).then(async answer => {
        if (!String(url).startsWith("recognition")) return answer;
        const value = await answer.json(), [line] = value.images[0].lines;
        const other = {...line, low_confidence: true, alternatives: [
            {text: "another text", confidence: 0.25}], characters: line.characters.map(
                (c, i) => ({...c, confidence: [0.4, 0.6, 0.8, 0.95][i % 4]}))};
        value.images[0].lines = [line, other, line];
        return new Response(JSON.stringify(value), {status: 200});
    }))(fetch)""")
    path = tmp_path / "line.png"
    path.write_bytes(png("some text"))
    page.choose_files("#file", path)
    page.wait(DONE)
    assert page.run("document.getElementById('status').textContent").endswith(
        ", 1 of low confidence.")
    # Without colour: an underline of another kind for each class.
    lines = [page.run(f"getComputedStyle(document.querySelector('#list .c{n}'))"
                      ".textDecorationStyle") for n in (0, 1, 2)]
    assert lines == ["wavy", "dashed", "dotted"]
    page.run("document.querySelector('#list > li').focus()")
    assert page.run(ON) == 0
    page.press("ArrowDown")
    assert page.run(ON) == 1
    assert page.run("document.querySelectorAll('#overlay polygon')[1].classList.contains('on')")
    page.press("Enter")
    assert not page.run("document.querySelectorAll('#list .others')[0].hidden")
    assert page.run("document.querySelector('#list .more').getAttribute('aria-expanded')") == "true"
    for _ in range(3):
        page.press("Tab")
    assert "another text" in page.run("document.activeElement.textContent")
    page.press("Enter")
    page.wait(f"{TEXTS}[1] === 'another text'")
    page.press("Escape")
    page.press("End")
    assert page.run(ON) == 2
    page.press("Home")
    assert page.run(ON) == 0


def test_errors_of_the_service_are_shown(page, tmp_path):
    path = tmp_path / "no.png"
    path.write_bytes(b"no image")
    page.choose_files("#file", path)
    page.wait("!document.getElementById('error').hidden")
    assert "no.png: not an image" in page.run("document.getElementById('error').textContent")
    # The browser itself notes the status 400.
    assert len(page.messages) <= 1
    page.messages.clear()
    fill(page, tmp_path)
    assert page.run("document.getElementById('error').hidden") and page.run(TEXTS)


def test_an_image_that_browsers_do_not_show_still_has_outlines(page, tmp_path):
    one_line(page)
    Image.fromarray(draw_bars("in tiff")).save(tmp_path / "line.tiff")
    page.choose_files("#file", tmp_path / "line.tiff")
    page.wait(DONE + " && document.getElementById('frame').classList.contains('bare')")
    assert page.run(TEXTS) == ["in tiff"]
    assert page.run("document.querySelector('#overlay polygon').getBoundingClientRect().width") > 50


def test_photos_beyond_the_limits_are_made_smaller(browser, running, tmp_path):
    client, _ = running(max_pixels=20_000)
    browser.size(1200, 800)
    browser.open(f"http://127.0.0.1:{client.port}/")
    browser.wait("document.getElementById('model').options.length")
    one_line(browser)
    Image.fromarray(np.kron(draw_bars("abc"), np.ones((8, 8), np.uint8))).save(tmp_path / "l.png")
    browser.choose_files("#file", tmp_path / "l.png")
    browser.wait(DONE)
    assert browser.run(TEXTS) == ["abc"]
    width, height = browser.run("[page.width, page.height]")
    assert width * height <= 20_000 and height > HEIGHT


def test_on_a_phone_nothing_is_cut_off_and_buttons_can_be_hit(page, tmp_path):
    page.size(360, 740, phone=True)
    fill(page, tmp_path, "a rather long line of text that has to be wrapped on a phone")
    assert page.run("document.documentElement.scrollWidth") <= 360
    small = page.run("""[...document.querySelectorAll('button, select, .button')]
        .filter(e => e.offsetParent && !e.classList.contains('more'))
        .map(e => [e.textContent.trim(), e.getBoundingClientRect()])
        .filter(([, r]) => r.height < 40 || r.right > 360 || r.left < 0).map(([t]) => t)""")
    assert small == []
    assert page.run("getComputedStyle(document.getElementById('photo-button')).display") != "none"
