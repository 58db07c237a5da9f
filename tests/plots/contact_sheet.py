#!/usr/bin/env python3
"""Puts SVG files of isoloss plot side by side into one: contact_sheet.py OUTPUT.svg FILE.svg ... Each is drawn at its own
size; what is under it is its name. docs/figures/contact-sheet.svg is made so, of the made-up experiment of draw.c:
draw-figures FOLDER 3.3 8 svg; contact_sheet.py docs/figures/contact-sheet.svg FOLDER/all-*.svg FOLDER/rate-loss-vs-learning-rate.svg"""
import os
import re
import sys

COLUMNS, GAP, LINE = 3, 24, 18  # in units of the figures


def figure(path):
    """(name, width, height, all within its <svg>) in the file's own units."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups())
    start = re.search(r"<svg[^>]*>", text)
    return os.path.basename(path)[:-4], width, height, start.group(0), text[start.end():text.rindex("</svg>")]


def main(output, *paths):
    figures = sorted((figure(path) for path in paths), key=lambda one: one[2])  # by height, so that rows are full
    widest = max(width for _, width, *_ in figures)
    rows = [figures[i:i + COLUMNS] for i in range(0, len(figures), COLUMNS)]
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
    width = GAP + COLUMNS * (widest + GAP)
    with open(output, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {top:g}" font-family="Helvetica, '
                   f'Arial, \'Liberation Sans\', sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n')
        file.write("".join(parts) + "</svg>\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
