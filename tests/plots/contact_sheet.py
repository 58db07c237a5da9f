#!/usr/bin/env python3
"""Puts SVG files of isoloss plot side by side into one: contact_sheet.py OUTPUT.svg COLUMNS FIGURES.html FILE.svg ...
Each is drawn at its own size; what is under it is its name. FIGURES.html, which draw-figures FOLDER writes, says which
colours the figures have on a dark page: the sheet has them where its reader's pages are dark.

The sheets of docs/figures/ are made so, of the presets that take seconds (run and fitted before, `--preset small`):
    for spec in effective-parameters low-rank elsa gptq-babai capacity sparse-chinchilla speculative: isoloss plot SPEC-small FIGURE... --width column --format svg
(text for the other sheet), and of the made-up runs of draw.c what those do not have: draw-figures FOLDER 3.3 8 svg (5.5 8)."""
import os
import re
import sys

GAP, LINE = 24, 18  # in units of the figures


def figure(path):
    """(name, width, height, all within its <svg>) in the file's own units."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups())
    start = re.search(r"<svg[^>]*>", text)
    return os.path.basename(path)[:-4], width, height, start.group(0), text[start.end():text.rindex("</svg>")]


def dark_style(page):
    """CSS by which what has a colour of the light palette has that of the dark one on a dark page."""
    with open(page, encoding="utf-8") as file:
        light, dark = (dict(re.findall(r"(--figure-[a-z0-9]+):(#[0-9a-f]{6})", block))
                       for block in re.findall(r":root{([^}]*)}", file.read())[:2])
    rules = "".join(f'[{what}="{light[name]}"]{{{what}:{dark[name]}}}' for name in light for what in ("fill", "stroke"))
    return f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>"


def main(output, columns, page, *paths):
    columns = int(columns)
    figures = sorted((figure(path) for path in paths), key=lambda one: one[2])  # by height, so that rows are full
    widest = max(width for _, width, *_ in figures)
    rows = [figures[i:i + columns] for i in range(0, len(figures), columns)]
    parts, top = [], GAP
    for row in rows:
        tallest = max(height for _, _, height, *_ in row)
        for i, (name, width, height, start, inside) in enumerate(row):
            left = GAP + i * (widest + GAP)
            look = " ".join(re.findall(r'(?:font-size|font-family|fill)="[^"]*"', start))
            parts.append(f'<svg x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" '
                         f'viewBox="0 0 {width:g} {height:g}" {look}>{inside}</svg>\n'
                         f'<text x="{left:g}" y="{top + tallest + LINE:g}" font-size="13" fill="#59636e">{name}</text>\n')
        top += tallest + LINE + GAP
    width = GAP + columns * (widest + GAP)
    with open(output, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" font-family="Helvetica, '
                   f'Arial, \'Liberation Sans\', sans-serif">\n{dark_style(page)}\n<rect width="100%" height="100%" fill="#ffffff"/>\n')
        file.write("".join(parts) + "</svg>\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
