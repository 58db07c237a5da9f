"""The pages: links lead somewhere, no page is longer than it can be read, lines have a width, words are spelled one way and
are the plain ones: test_docs.py ROOT ISOLOSS. TAP output."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of, program, write  # noqa: E402

ROOT = sys.argv[2]
LINES, WIDTH = 400, 130
# Words that give away another language, and what to say.
PLAIN = {
    r"\bbeside\b": "next to, along with, as well as",
    r"\bgoes on\b": "continues, resumes",
    r"\btold\b": "said, reported",
    r"\btells\b": "says, shows",
    r"\bstands\b(?! for)": "is",
    r"\bthat there (?:is|are)\b(?! no)": "(an existing, an unknown) ...",
    r"\bof (?:your|our|the user's|my) own\b": "custom, your",
    r"\bso many bits\b": "that many bits",
    r"\bis the least\b(?= *[.,;])": "the minimum is",
    r"\b(?:format|name|field) that there is not\b": "an unknown one",
    r"\bhas its end already\b": "is already finished",
    r"\btrainer of (?:your|the user's) own\b": "a custom trainer",
}
# One way to spell a word, and slips that fingers make.
SPELLED = {"color": "colour", "behavior": "behaviour", "neighbor": "neighbour", "optimise": "optimize", "initialise": "initialize",
           "normalise": "normalize", "minimise": "minimize", "quantise": "quantize", "quantisation": "quantization",
           "teh": "the", "recieve": "receive", "seperate": "separate", "occured": "occurred", "wich": "which",
           "lenght": "length", "paramter": "parameter", "parmeter": "parameter", "weigth": "weight", "existant": "existent",
           "accross": "across", "untill": "until", "begining": "beginning", "sucess": "success", "dependant": "dependent",
           "independant": "independent", "occurence": "occurrence", "refered": "referred", "tranform": "transform",
           "managable": "manageable", "retun": "return", "fucntion": "function", "thier": "their", "adress": "address"}


def pages():
    yield from ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
    for name in sorted(os.listdir(os.path.join(ROOT, "docs"))):
        if name.endswith(".md"):
            yield os.path.join("docs", name)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def prose(text):
    """Lines with their numbers, without blocks of code and what is between backquotes."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, re.sub(r"`[^`]*`", "", line)


def anchors(text):
    """As GitHub makes them of headings."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        found.add(re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-"))
    return found


def dead_links(root, page):
    text = read(os.path.join(root, page))
    for number, line in enumerate(text.split("\n"), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = os.path.normpath(os.path.join(root, os.path.dirname(page), path)) if path else os.path.join(root, page)
            if not os.path.exists(file):
                yield f"{page}:{number}: {target} is not there"
            elif anchor and file.endswith(".md") and anchor not in anchors(read(file)):
                yield f"{page}:{number}: {target}: no heading #{anchor}"


def wide_lines(root, page):
    for number, line in prose(read(os.path.join(root, page))):
        # A row of a table, and a line of one link, cannot be broken.
        if len(line) > WIDTH and page != "CHANGELOG.md" and not line.startswith("|") and "](" not in line:
            yield f"{page}:{number}: {len(line)} columns"


def words(root, page, patterns):
    for number, line in prose(read(os.path.join(root, page))):
        for pattern, better in patterns.items():
            for found in re.findall(pattern, line, re.I):
                yield f"{page}:{number}: '{found}': {better}"


misspelled = {rf"\b{word}\w*": f"spelled {right}" for word, right in SPELLED.items()}
everywhere = list(pages())
check(len(everywhere) > 20, "pages are found")
check(not (found := [one for page in everywhere for one in dead_links(ROOT, page)]), "links lead somewhere", *found)
long = [f"{page}: {len(read(os.path.join(ROOT, page)).splitlines())} lines" for page in everywhere
        if page != "CHANGELOG.md" and len(read(os.path.join(ROOT, page)).splitlines()) > LINES]
check(not long, f"no page has more than {LINES} lines", *long)
check(not (found := [one for page in everywhere for one in wide_lines(ROOT, page)]), f"lines have {WIDTH} columns", *found)
check(not (found := [one for page in everywhere for one in words(ROOT, page, misspelled)]), "words are spelled", *found)
taught = [page for page in everywhere if page != "CHANGELOG.md"]
check(not (found := [one for page in taught for one in words(ROOT, page, PLAIN)]), "words are plain", *found)

# The README is one screen; its index has every page.
check(len(read(os.path.join(ROOT, "README.md")).splitlines()) <= 66, "the README is one screen")
index = read(os.path.join(ROOT, "docs", "README.md"))
missing = [page for page in everywhere if page.startswith("docs/") and page != "docs/README.md"
           and f"]({os.path.basename(page)}" not in index]
check(not missing, "the index has every page", *missing)

# Every name of docs/formats-names.md is a format.
names = [name for row in re.findall(r"^\| (`.*?) \|", read(os.path.join(ROOT, "docs", "formats-names.md")), re.M)
         for name in re.findall(r"`([^`]+)`", row) if not name.startswith("..")]
asked = subprocess.run([program, "formats", *names], capture_output=True, text=True)
check(len(names) > 25 and asked.returncode == 0, "formats with other names are formats", asked.stderr)

# Planted faults are found.
os.makedirs(path_of("docs"))
write("docs/a.md", "# One heading\n\n[x](b.md) [y](#no) [z](#one-heading)\nThe color stands beside it.\n" + "w " * 70 + "\n")
check(len(list(dead_links(path_of(), "docs/a.md"))) == 2 and len(list(wide_lines(path_of(), "docs/a.md"))) == 1
      and len(list(words(path_of(), "docs/a.md", misspelled))) == 1 and len(list(words(path_of(), "docs/a.md", PLAIN))) == 2,
      "planted faults are found")
finish()
