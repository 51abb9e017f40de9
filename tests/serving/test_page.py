"""The page in a headless Chromium, by mouse, keyboard and phone."""

import base64
import io
import json
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from ocr.serving.keys import add_key
from ocr.serving.reading import ServedRecogniser

from .browser import Browser, find_browser
from .conftest import png
from .fakes import CHARACTERS, HEIGHT, BarRecogniser, draw_bars

pytestmark = pytest.mark.skipif(find_browser() is None,
                                reason="no Chromium (chromium, google-chrome) on PATH")
READY = "document.body.classList.contains('ready')"
DONE = "!document.body.classList.contains('busy') && document.querySelectorAll('#list>li').length"
TEXTS = "[...document.querySelectorAll('#list textarea')].map(e => e.value)"
ON = "[...document.querySelectorAll('#list>li')].findIndex(e => e.classList.contains('on'))"
STATUS = "document.getElementById('status').textContent"
NAMES = "[...document.getElementById('page').options].map(e => e.text.split(' – ')[0])"
ERROR = "document.getElementById('error').textContent"
#: Does something with the pictures that the browser keeps.
PICTURES = """new Promise(done => {{ indexedDB.open('ocr', 1).onsuccess = event => {{
    const db = event.target.result;
    db.transaction('pictures', 'readwrite').objectStore('pictures').{}.onsuccess = event => {{
        db.close(); done(event.target.result); }}; }}; }})"""
#: Catches what is handed to the browser or its clipboard.
CATCH = """window.taken = []; navigator.clipboard.writeText = async text => taken.push(text);
    URL.createObjectURL = (real => blob => (
        blob.type === "image/jpeg" || taken.push(blob), real.call(URL, blob)))(URL.createObjectURL);
    HTMLAnchorElement.prototype.click = function () { taken.push(this.download); }; 0"""


class Doubtful(BarRecogniser):
    """Takes every a for a b nearly as likely."""

    def read_arrays(self, images, widths):
        logits, frames = super().read_arrays(images, widths)
        logits[:, :, CHARACTERS.index("b")] += 8.5 * (logits[:, :, 0] > 8)
        return logits, frames


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(find_browser(), tmp_path_factory.mktemp("chromium"))
    yield one
    one.close()


def visit(browser, client):
    """Open a service's page anew on a desktop's screen, with nothing kept from before."""
    browser.size(1200, 800)
    url = f"http://127.0.0.1:{client.port}/"
    browser.call("Storage.clearDataForOrigin", origin=url, storageTypes="all")
    browser.open("about:blank#")
    browser.open(url)
    browser.wait(READY)
    one_line(browser)
    browser.messages.clear()


def one_line(browser):
    browser.run("document.getElementById('lines').value = 'one'")


@pytest.fixture
def page(browser, shared):
    """The page; its console must stay empty."""
    visit(browser, shared)
    yield browser
    assert not browser.messages


@pytest.fixture
def doubtful(browser, running):
    """The page of a service that is not sure of its letters."""
    pytest.importorskip("pyctcdecode")
    client, service = running(open_model=lambda path: ServedRecogniser(Doubtful()))
    visit(browser, client)
    return browser


def save_lines(folder, *texts):
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}-line.png")
        paths[-1].write_bytes(png(text))
    return paths


def save_page(path, *texts):
    """An image with a line of bars each, and the reader told to take them as found."""
    frames = [Image.fromarray(draw_bars(text)) for text in texts]
    frames[0].save(path, "TIFF", save_all=True, append_images=frames[1:])
    return path


def fill(page, *paths):
    """Choose files and wait until they are read."""
    page.choose_files("#file", *paths)
    page.wait(DONE)


def reload(page):
    # The old page answers until the new one is there.
    page.run("window.old = true")
    page.call("Page.reload")
    page.wait(f"!window.old && document.readyState === 'complete' && {READY}")


def rectangle(page, selector):
    return np.array(page.run(f"(r => [r.left, r.top, r.right, r.bottom])(document."
                             f"querySelector('{selector}').getBoundingClientRect())"))


def test_a_chosen_image_is_read_boxed_and_cropped(page, tmp_path):
    fill(page, *save_lines(tmp_path, "some text"))
    assert page.run(TEXTS) == ["some text"] and page.run(STATUS) == "1 line"
    page.wait("document.getElementById('image').complete && "
              "document.getElementById('image').naturalWidth")
    # The outline lies on the image as it is shown; the crop shows all of this one line.
    np.testing.assert_allclose(rectangle(page, "#overlay polygon"), rectangle(page, "#image"),
                               atol=2)
    left, top, right, bottom = rectangle(page, "#list .crop svg")
    height, width = draw_bars("some text").shape
    assert abs((right - left) / (bottom - top) - width / height) < 0.1
    # The character at the caret is shown on the image.
    page.run("document.querySelector('#list textarea').focus();"
             "document.querySelector('#list textarea').setSelectionRange(1, 1)")
    page.wait("!!document.querySelector('#overlay .spot')")
    spot, image = rectangle(page, "#overlay .spot"), rectangle(page, "#image")
    place = (spot[[0, 2]] - image[0]) / (image[2] - image[0]) * width
    assert place[0] < 25 and 31 < place[1] <= 40


@pytest.mark.parametrize("event, where", [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_files_are_dropped_and_pasted(page, event, where):
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


def test_documents_of_several_pages_and_files(page, tmp_path):
    scan = save_page(tmp_path / "scan.tiff", "first", "second", "third")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"none")
    fill(page, scan, broken, *save_lines(tmp_path, "alone"))
    options = page.run("[...document.getElementById('page').options].map(o => o.textContent)")
    assert [o.split(" – ")[0] for o in options] == [
        "scan.tiff · 1", "scan.tiff · 2", "scan.tiff · 3", "broken.png", "0-line.png"]
    assert "broken.png: not an image" in page.run(ERROR)
    assert page.run(TEXTS) == ["first"]
    # TIFF, which browsers do not show, is shown all the same.
    page.wait("document.getElementById('image').naturalWidth")
    for expected in (["second"], ["third"], [], ["alone"]):
        page.press("PageDown", modifiers=1)
        page.wait(f"JSON.stringify({TEXTS}) === '{json.dumps(expected)}'")
    page.run("document.getElementById('page').value = 1;"
             "document.getElementById('page').dispatchEvent(new Event('change'))")
    assert page.run(TEXTS) == ["second"]
    # A picture still under way would be refused.
    page.wait(f"{PICTURES.format('count()')}.then(count => count === 4)")
    page.run("window.confirm = () => true; document.getElementById('remove').click()")
    assert page.run(TEXTS) == []
    page.run("document.getElementById('remove').click()")
    page.wait(f"{TEXTS}[0] === 'alone'")


def test_the_keyboard_alone_is_enough(doubtful, tmp_path):
    page = doubtful
    save_page(tmp_path / "scan.tiff", "cat", "a hat")
    fill(page, tmp_path / "scan.tiff")
    page.run("document.querySelector('#list textarea').focus()")
    assert page.run(ON) == 0 and page.run(TEXTS) == ["cat"]
    # The unsure character is marked, by colour and by an underline.
    assert page.run("[...document.querySelectorAll('#list mark')].map(e => e.textContent)") == ["a"]
    assert page.run("getComputedStyle(document.querySelector('#list mark')).textDecorationStyle") \
        in ("wavy", "dashed")
    page.press("F2")
    assert page.run("[document.activeElement.selectionStart, "
                    "document.activeElement.selectionEnd]") == [1, 2]
    # Alternatives by number.
    others = page.run("[...document.querySelectorAll('#list .others button')]"
                      ".map(e => e.ariaLabel)")
    number = others.index("cbt")
    page.press(str(number), modifiers=1)
    assert page.run(TEXTS) == ["cbt"] and not page.run("document.querySelector('#list mark')")
    page.press("0", modifiers=1)
    assert page.run(TEXTS) == ["cat"]
    page.type("fat ")
    assert "fat " in page.run(TEXTS)[0]
    page.press("PageDown", modifiers=1)
    page.wait(f"{TEXTS}[0] === 'a hat'")
    assert page.run("document.activeElement.tagName") == "TEXTAREA"
    page.press("Enter")
    page.wait(f"{STATUS} === '1 line, 1 checked'")
    for pressed in ("false", "true"):
        page.press("b", modifiers=1)
        assert page.run("document.getElementById('boxes').getAttribute('aria-pressed')") == pressed
    assert not page.messages


def lines_page(tmp_path, count=12):
    """A page of typed lines, in rows far enough apart to be found."""
    from PIL import ImageDraw, ImageFont

    image = Image.new("L", (900, 80 + 90 * count), 255)
    for row in range(count):
        ImageDraw.Draw(image).text((60, 50 + 90 * row), f"Line number {row} of many", fill=0,
                                   font=ImageFont.load_default(size=36))
    image.save(tmp_path / "typed.png")
    return tmp_path / "typed.png"


def test_lines_are_gone_through_and_followed_on_the_image(page, tmp_path):
    pytest.importorskip("skimage")
    page.run("document.getElementById('lines').value = 'find'")
    fill(page, lines_page(tmp_path))
    count = page.run("document.querySelectorAll('#list>li').length")
    assert count == 12
    page.wait("document.getElementById('image').naturalWidth")
    page.run("for (let i = 0; i < 6; i++) document.getElementById('in').click();"
             "document.querySelector('#list textarea').focus()")
    view = rectangle(page, "#view")
    for number in range(1, count):
        page.press("Enter" if number % 2 else "ArrowDown")
        assert page.run(ON) == number
        left, top, right, bottom = rectangle(page, "#overlay polygon.on")
        assert view[1] <= top and bottom <= view[3] and view[0] <= left + 1 < view[2]
        item, results = rectangle(page, "#list>li.on .field"), rectangle(page, "#results")
        assert results[1] <= item[1] and item[3] <= results[3] + 1
    page.press("ArrowDown")
    assert page.run(ON) == count - 1
    page.press("Enter", modifiers=8)
    page.press("ArrowUp")
    assert page.run(ON) == count - 3
    assert page.run(STATUS).startswith("12 lines, 6 checked")
    # A click on an outline goes to its line; a dragged image does not.
    before = rectangle(page, "#overlay polygon.on")
    x, y = (before[:2] + before[2:]) / 2
    page.drag(x, y, x - 40, y + 30)
    after = rectangle(page, "#overlay polygon.on")
    assert page.run(ON) == count - 3 and not np.allclose(before, after)
    left, top, right, bottom = rectangle(page, "#overlay polygon:nth-child(9)")
    page.drag((max(left, view[0]) + min(right, view[2])) / 2, (top + bottom) / 2)
    assert page.run(ON) == 8
    # The wheel zooms where it is.
    page.call("Input.dispatchMouseEvent", type="mouseWheel", x=view[0] + 50, y=view[1] + 50,
              deltaX=0, deltaY=120)
    page.wait("document.getElementById('sheet').getBoundingClientRect().width < "
              f"{rectangle(page, '#sheet')[2] - rectangle(page, '#sheet')[0]} + 1")
    page.run("document.getElementById('fit').click()")
    sheet = rectangle(page, "#sheet")
    assert (sheet[:2] >= view[:2] - 1).all() and (sheet[2:] <= view[2:] + 1).all()


def test_nothing_is_lost_by_a_reload(page, tmp_path, shared):
    save_page(tmp_path / "scan.tiff", "first", "second")
    fill(page, tmp_path / "scan.tiff", *save_lines(tmp_path, "alone"))
    page.run("document.querySelector('#list textarea').focus()")
    page.type("very ")
    page.press("PageDown", modifiers=1)
    page.wait(f"{TEXTS}[0] === 'second'")
    names = page.run(NAMES)
    assert names == ["scan.tiff · 1", "scan.tiff · 2", "0-line.png"]
    # A reload that comes before the pictures: they are fetched after it.
    page.run(PICTURES.format("clear()"))
    reload(page)
    page.wait(f"{PICTURES.format('count()')}.then(count => count === 3)")
    assert page.run(NAMES) == names
    page.wait(f"{TEXTS}[0] === 'second' && document.getElementById('image').naturalWidth")
    page.press("PageUp", modifiers=1)
    page.wait(f"{TEXTS}[0].includes('very ')")
    assert page.run(STATUS) == "1 line, 1 checked"
    # Nor when the service has forgotten the job.
    for job in shared.get("/jobs").json["jobs"]:
        shared.send("DELETE", f"/jobs/{job['id']}")
    reload(page)
    page.wait(f"{TEXTS}[0].includes('very ') && document.getElementById('image').naturalWidth")
    one_line(page)
    page.run("window.confirm = () => true; document.getElementById('again').click()")
    page.wait(f"{DONE} && document.getElementById('page').options.length === 3 && "
              f"{TEXTS}[0] === 'first'")
    # The other document, not looked at until then, has its picture too.
    page.run("document.getElementById('page').value = 0;"
             "document.getElementById('page').dispatchEvent(new Event('change'))")
    page.wait(f"{TEXTS}[0] === 'alone' && document.getElementById('image').naturalWidth")
    # The browser notes that there was no job to delete.
    assert len(page.messages) <= 1
    page.messages.clear()


def test_a_reload_while_it_reads(browser, running, tmp_path):
    gate = threading.Semaphore(0)

    class Gated(BarRecogniser):
        def read_arrays(self, images, widths):
            assert not images.any() or gate.acquire(timeout=20)
            return super().read_arrays(images, widths)

    client, _ = running(open_model=lambda path: ServedRecogniser(Gated()), max_batch=1)
    visit(browser, client)
    save_page(tmp_path / "scan.tiff", "first", "second", "third")
    browser.choose_files("#file", tmp_path / "scan.tiff")
    gate.release()
    browser.wait(f"{TEXTS}[0] === 'first'")
    # One line after the other comes; what is there can be worked on.
    browser.run("document.querySelector('#list textarea').focus()")
    browser.type("my ")
    reload(browser)
    gate.release()
    gate.release()
    browser.wait(DONE)
    browser.wait(f"{TEXTS}[0].includes('my ')")
    for expected in ("second", "third"):
        browser.press("PageDown", modifiers=1)
        browser.wait(f"{TEXTS}[0] === '{expected}'")


def taken(page, format):
    """Save in a format; returns (name, content as bytes)."""
    page.run(f"taken.length = 0; document.querySelector('[data-format={format}]').click()")
    page.wait("taken.length >= 2")
    data = page.run("new Response(taken[0]).arrayBuffer().then(b => "
                    "btoa(String.fromCharCode(...new Uint8Array(b))))")
    return page.run("taken.at(-1)"), base64.b64decode(data)


def test_what_is_on_the_screen_is_saved(page, tmp_path):
    save_page(tmp_path / "scan.tiff", "first", "second")
    fill(page, tmp_path / "scan.tiff")
    page.run(CATCH)
    assert page.run("document.querySelector('[data-format=table]').disabled")
    page.run("document.querySelector('#list textarea').focus();"
             "document.querySelector('#list textarea').setSelectionRange(0, 0)")
    page.type("the ")
    page.run("document.getElementById('copy').click()")
    page.wait("taken.length === 1")
    assert page.run("taken[0]") == "the first"
    for format, name, content in (("text", "scan.txt", "the first\n"), ("alto", "scan.alto.xml",
                                  'CONTENT="the"'), ("page", "scan.page.xml", ">the first<"),
                                  ("json", "scan.json", '"text": "the first"')):
        found, data = taken(page, format)
        assert found == name and content in data.decode()
    page.run("document.getElementById('scope').value = 'all';"
             "document.getElementById('scope').dispatchEvent(new Event('change'))")
    assert taken(page, "text")[1] == b"the first\n\x0csecond\n"
    # Lines that were checked, to train on: the file itself was sent along.
    label = "document.querySelector('[data-format=table]').textContent"
    assert page.run(label) == "Training lines (1)"
    name, data = taken(page, "table")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("lines.tsv").decode() == "file\ttext\nlines/scan-1-001.png\tthe first\n"
        image = Image.open(io.BytesIO(archive.read("lines/scan-1-001.png")))
        np.testing.assert_array_equal(np.asarray(image), draw_bars("first"))
    assert name == "scan-lines.zip"


def test_a_service_with_keys_asks_for_one(browser, running, tmp_path):
    file = str(tmp_path / "keys")
    key = add_key(file, "me")
    client, _ = running(keys=file)
    browser.size(1200, 800)
    browser.open(f"http://127.0.0.1:{client.port}/")
    for given in ("wrong", key):
        browser.wait("document.getElementById('ask').open")
        browser.run(f"document.getElementById('key').value = '{given}';"
                    "document.querySelector('#ask button').click()")
    browser.wait(READY)
    browser.run("document.getElementById('lines').value = 'one'")
    fill(browser, *save_lines(tmp_path, "with a key"))
    assert browser.run(TEXTS) == ["with a key"]
    browser.messages.clear()


def test_photos_beyond_the_limits_are_made_smaller(browser, running, tmp_path):
    client, _ = running(max_pixels=20_000)
    visit(browser, client)
    Image.fromarray(np.kron(draw_bars("abc"), np.ones((8, 8), np.uint8))).save(tmp_path / "l.png")
    fill(browser, tmp_path / "l.png")
    assert browser.run(TEXTS) == ["abc"]
    width, height = browser.run("document.getElementById('overlay').getAttribute('viewBox')"
                                ".split(' ').map(Number).slice(2)")
    assert width * height <= 20_000 and height > HEIGHT


def test_on_a_phone_nothing_is_cut_off_and_the_edited_line_can_be_read(page, tmp_path):
    page.size(390, 844, phone=True)
    fill(page, *save_lines(tmp_path, "a rather long line of text that is wrapped on a phone"))
    assert page.run("document.documentElement.scrollWidth") <= 390
    small = page.run("""[...document.querySelectorAll('button, select, .button')]
        .filter(e => e.offsetParent).map(e => [e.textContent.trim(), e.getBoundingClientRect()])
        .filter(([, r]) => r.height < 40 || r.right > 390 || r.left < 0).map(([t]) => t)""")
    assert small == []
    assert page.run("getComputedStyle(document.getElementById('photo-button')).display") != "none"
    # The crop of the line that is edited is high enough, and goes along with the caret.
    page.run("document.querySelector('#list textarea').focus();"
             "document.querySelector('#list textarea').setSelectionRange(0, 0)")
    _, top, _, bottom = rectangle(page, "#list .crop svg")
    assert bottom - top >= 60
    page.wait("document.querySelector('.crop').scrollLeft === 0")
    page.run("document.querySelector('#list textarea').setSelectionRange(50, 50)")
    page.wait("document.querySelector('.crop').scrollLeft > 300")
    spot, frame = rectangle(page, "#list .crop .spot"), rectangle(page, "#list .crop")
    assert frame[0] <= spot[0] and spot[2] <= frame[2]
