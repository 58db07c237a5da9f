#!/usr/bin/env python3
"""The report's page in a headless Chromium: test_browser.py ISOLOSS FILL_STORE LAWS. Prints TAP; skips without one."""

import base64
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
import harness  # noqa: E402
from browser import Browser, find  # noqa: E402
from harness import case, path_of, write  # noqa: E402

FILL_STORE, LAWS = map(os.path.abspath, sys.argv[2:4])
SPEC = """experiment: pages
about: A page to look at.
corpus: {source: gcide}
base:
  model: {layers: 2}
sweep:
  grid: {model.width: [32, 64, 96, 128], train.tokens: [1e6, 2e6, 4e6], format: [none]}
fit:
  - law: chinchilla
"""
program = find()
if not program:
    print("1..0 # SKIP there is no Chromium (package chromium); ISOLOSS_BROWSER names one")
    sys.exit(0)

home, spec = path_of("home"), write("pages.yaml", SPEC)
subprocess.run([FILL_STORE, "mixed", "pages", spec, LAWS], env=dict(os.environ, ISOLOSS_HOME=home), check=True)
page = harness.run("report", spec, home=home).out.strip()
with open(page, encoding="utf-8") as text:
    without = text.read()
without = write("without.html", without[:without.index("<script>")] + "</body></html>")
browser = Browser(program, path_of("profile"))

# The table of runs as it is shown: heads, and cells of the rows that are not hidden.
SHOWN = """(() => { const table = document.querySelector('table[data-links]');
  return [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
})()"""
# Contrast of every piece of text to what is behind it, by WCAG 2: those below 4.5 (3 for large text).
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const parse = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] / 255 + under[i] * (1 - top[3] / 255));
  const light = (rgb) => { const [r, g, b] = rgb.map((c) => c / 255).map((c) =>
    c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (node) => { const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    let colour = [255, 255, 255]; for (const layer of layers.reverse()) colour = over(layer, colour); return colour; };
  const poor = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.getClientRects().length) continue;
    const style = getComputedStyle(node), svg = node.closest('svg');
    const back = behind(node), front = over(parse(svg ? style.fill : style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    seen++;
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) poor.push([walker.currentNode.textContent, ratio]);
  }
  return {seen, poor};
})()"""


def column(name):
    rows = browser.evaluate(SHOWN)
    return [row[rows[0].index(name)] for row in rows[1:]]


def press_head(name):
    browser.evaluate(f"""[...document.querySelectorAll('table[data-links] th button')]
                         .find((one) => one.textContent === {name!r}).click()""")


def search(words):
    browser.evaluate("(() => { const field = document.querySelector('.tools input'); field.focus(); field.select(); })()")
    browser.write(words)
    if not words:
        browser.evaluate("""(() => { const field = document.querySelector('.tools input'); field.value = '';
                            field.dispatchEvent(new Event('input')); })()""")
    return browser.evaluate("document.querySelector('.tools output').value")


def open_page(width=1200):
    browser.size(width)
    browser.look()
    browser.open(page)


@case
def tables_sort():
    open_page()
    as_written = browser.evaluate(SHOWN)
    press_head("loss")
    losses = [float(loss) for loss in column("loss")]
    assert losses == sorted(losses) and len(losses) == 24, losses
    assert browser.evaluate("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    press_head("loss")
    assert [float(loss) for loss in column("loss")] == sorted(losses, reverse=True)
    press_head("loss")
    assert browser.evaluate(SHOWN) == as_written, "the third time it is as it was"
    press_head("D")  # numbers in words
    assert column("D") == ["999k"] * 8 + ["2.00M"] * 8 + ["4.00M"] * 8, column("D")


@case
def tables_filter():
    open_page()
    everything = len(column("run"))
    assert search("") == f"{everything} of {everything} rows"
    first = column("run")[3]
    assert search(first) == f"1 of {everything} rows" and column("run") == [first]
    losses = sorted(float(loss) for loss in (search(""), column("loss"))[1])
    middle = losses[len(losses) // 2]
    assert search(f"loss<{middle}") == f"{sum(loss < middle for loss in losses)} of {everything} rows"
    assert all(float(loss) < middle for loss in column("loss"))
    search("D>=2M")
    assert len(column("D")) == 16, column("D")
    assert "no column lss" in search("lss<3")
    search("")
    chosen = browser.evaluate("""(() => { const one = [...document.querySelectorAll('.tools label')]
        .find((label) => label.textContent.startsWith('format')).querySelector('select');
        one.value = '=w4a4'; one.dispatchEvent(new Event('change')); return one.options.length; })()""")
    assert chosen > 2 and set(column("format")) == {"w4a4"} and len(column("format")) < everything


@case
def the_pointer_shows_a_run():
    open_page()
    place = browser.evaluate("""(() => {
        const figure = [...document.querySelectorAll('figure[data-marks]')].at(-1), svg = figure.querySelector('svg');
        figure.scrollIntoView({block: 'center'});
        const [run, x, y] = figure.dataset.marks.split(' ')[2].split(',').map(Number);
        const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
        return [run, at.x, at.y]; })()""")
    row = column("run")[place[0]]
    browser.move(place[1], place[2])
    tip = browser.evaluate("(() => { const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.textContent; })()")
    assert row in tip and column("loss")[place[0]] in tip, (row, tip)
    lit = "[...document.querySelectorAll('tr.lit')].map((row) => row.cells[0].textContent)"
    assert row in browser.evaluate(lit)
    figures = browser.evaluate("document.querySelectorAll('figure[data-marks], figure[data-curves]').length")
    assert browser.evaluate("[...document.querySelectorAll('.over')].filter((one) => one.children.length).length") \
        == figures >= 4, "in every figure"
    # A click goes to the row, and the run stays lit; Escape ends that.
    browser.click(place[1], place[2])
    assert browser.evaluate("document.activeElement.textContent") == row
    browser.move(2, 2)
    assert row in browser.evaluate(lit)
    browser.key("Escape")
    assert browser.evaluate(lit) == []
    # From the row to the figures: its curve is drawn over the others.
    browser.evaluate("document.querySelector('button.run').click()")
    assert browser.evaluate(lit) == [column("run")[0]]
    assert browser.evaluate("document.querySelectorAll('.over polyline').length") >= 1


@case
def marks_are_where_they_are_said_to_be():
    open_page()
    off = browser.evaluate("""[...document.querySelectorAll('figure[data-marks]')].map((figure) => {
        const centres = [...figure.querySelectorAll('svg > circle, svg > path')].map((mark) => {
          const box = mark.getBBox(); return box.width < 14 && box.height < 14 ?
            [box.x + box.width / 2, box.y + box.height / 2] : null; }).filter(Boolean);
        const places = figure.dataset.marks.split(' ').map((mark) => mark.split(',').map(Number));
        return Math.max(...places.map(([run, x, y]) => Math.min(...centres.map(([a, b]) => Math.hypot(a - x, b - y)))));
      })""")
    assert len(off) >= 3 and all(distance < 2.5 for distance in off), off


@case
def the_keyboard_is_enough():
    open_page()
    # Tab reaches the tools, the heads and the figures; what has the focus is outlined.
    reached = set()
    for _ in range(60):
        browser.key("Tab")
        name, outline = browser.evaluate("""(() => { const one = document.activeElement;
            return [one.tagName.toLowerCase() + '.' + (one.getAttribute('class') ?? ''),
                    getComputedStyle(one).outlineStyle]; })()""")
        reached.add(name)
        assert outline != "none" or name == "body.", name
    for name in ("svg.figure", "input.", "select.", "button.sort", "button.run"):
        assert name in reached, (name, reached)
    browser.evaluate("document.querySelector('figure[data-curves] svg').focus()")
    browser.key("ArrowRight")
    assert browser.evaluate("document.querySelectorAll('tr.lit').length") == 1
    assert browser.evaluate("document.querySelector('.tip').hidden") is False
    browser.key("Enter")
    assert browser.evaluate("document.activeElement.closest('tr').classList.contains('lit')")
    heading = "document.querySelector('table[data-links] th button')"
    browser.evaluate(heading + ".focus()")
    browser.key("Enter")
    assert browser.evaluate("document.querySelectorAll('th[aria-sort]').length") == 1


@case
def light_dark_and_contrast():
    open_page()
    for scheme, dark in (("light", False), ("dark", True)):
        browser.look(scheme=scheme)
        answer = browser.evaluate(CONTRAST)
        assert answer["seen"] > 300 and not answer["poor"], (scheme, answer["poor"][:12])
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") != dark, ground


@case
def a_phone_and_paper():
    open_page(390)
    # Nothing but what scrolls by itself is wider than the screen.
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    assert browser.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "flex"
    open_page()
    browser.look(media="print", scheme="dark")
    assert browser.evaluate("getComputedStyle(document.querySelector('.tools')).display") == "none"
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)", "on white"
    browser.look()
    paper = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert paper.startswith(b"%PDF") and len(paper) > 20000
    with open(path_of("page.pdf"), "wb") as file:
        file.write(paper)


@case
def the_page_is_whole_without_its_script():
    browser.size(1200)
    words = "document.querySelector('main').innerText"
    browser.open(without)
    bare = browser.evaluate(words)
    assert browser.evaluate("document.querySelectorAll('button, input, .tip').length") == 0
    browser.open(page)
    browser.evaluate("document.querySelectorAll('.tools').forEach((one) => one.remove())")
    assert browser.evaluate(words) == bare


@case
def nothing_is_loaded_and_the_policy_holds():
    asked = [url for url in browser.requests if not url.startswith(("file://", "about:"))]
    assert not asked and not browser.told, (asked, browser.told)
    # The policy is at work: another script is refused.
    browser.evaluate("""(() => { const other = document.createElement('script'); other.textContent = 'window.ran = 1';
                        document.body.append(other); })()""")
    assert browser.evaluate("window.ran") is None
    browser.evaluate("1")
    assert any("Content Security Policy" in told for told in browser.told), browser.told
    # So is eval, to the page's own script too.
    assert browser.evaluate("document.querySelector('meta[http-equiv]').content").count("unsafe-eval") == 0


browser.close()
harness.finish()
