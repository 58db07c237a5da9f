"""Documents out of Debian packages: one function a corpus, each taking a Reader and yielding documents.

Prose is cut into paragraphs; those that are tables, listings or repeated elsewhere in the corpus are left out.
"""
import concurrent.futures
import gzip
import hashlib
import html
import html.parser
import os
import re
import struct
import subprocess
import tarfile
import tempfile
import zlib

PARAGRAPHS_A_DOCUMENT = 50


class Reader:
    """The packages of a corpus: `files` maps a package to its .deb."""

    def __init__(self, files, open_package, progress, failure):
        self.files, self.open_package, self.progress, self.failure = files, open_package, progress, failure

    def members(self, package, pattern):
        """(path, bytes) of the package's plain files whose path matches, in the order of the paths."""
        wanted, found = re.compile(pattern), {}
        with self.open_package(self.files[package]) as archive:
            for member in archive:
                path = member.name.lstrip('.')
                if member.isfile() and wanted.search(path):
                    found[path] = archive.extractfile(member).read()
        return sorted(found.items())


def decoded(content, path=''):
    if path.endswith(('.gz', '.dz')):
        content = gzip.decompress(content)
    return content.decode('utf-8', 'replace').replace('\r', '')


def in_groups(items, size):
    for i in range(0, len(items), size):
        yield items[i:i + size]


# ---- gcide, kjv ----

def gcide(reader):
    """A document per 50 entries of the dictionary."""
    reader.progress(0, 'reading the dictionary')
    for path, content in reader.members('dict-gcide', r'\.dict\.dz$'):
        for entries in in_groups(decoded(content, path).split('\n\n'), PARAGRAPHS_A_DOCUMENT):
            yield '\n\n'.join(entries)


def kjv(reader):
    """A document per chapter, a verse a line."""
    reader.progress(0, 'reading the verses')
    chapter, verses = None, []
    for line in bible_lines(reader):
        place, _, verse = line.partition(' ')
        if place.partition(':')[0] != chapter:
            yield '\n'.join(verses)
            chapter, verses = place.partition(':')[0], []
        verses.append(verse)
    yield '\n'.join(verses)


def bible_lines(reader):
    """The package's own program reads its compressed text; it runs from a temporary folder."""
    with tempfile.TemporaryDirectory(prefix='isoloss-kjv-') as folder:
        for package, pattern in (('bible-kjv', r'/bin/bible$|/bible\.data'), ('bible-kjv-text', r'/bible\.data')):
            for path, content in reader.members(package, pattern):
                with open(os.path.join(folder, os.path.basename(path)), 'wb') as file:
                    file.write(content)
        program = os.path.join(folder, 'bible')
        os.chmod(program, 0o755)
        try:
            result = subprocess.run([program, '-f', '-p', folder + '/', 'gen1:1-rev22:21'], stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, errors='replace', timeout=120)
        except OSError as problem:
            raise reader.failure('the program of the package bible-kjv does not run here (%s)' % problem) from None
    if result.returncode or len(result.stdout) < 4000000:
        raise reader.failure('the program of the package bible-kjv does not run here (%s): apt-get install libreadline8' %
                             (result.stderr.strip() or 'too little text'))
    return result.stdout.splitlines()


# ---- linux-core ----

CORE_FOLDERS = set('kernel mm fs lib block net ipc init security crypto virt'.split())


def linux_core(reader):
    """A document a source file of the kernel's core (.c and .h); equal files once."""
    seen, count = set(), 0
    with reader.open_package(reader.files['linux-source-6.1']) as package:
        for member in package:
            if not re.search(r'linux-source[^/]*\.tar\.xz$', member.name) or not member.isfile():
                continue
            with tarfile.open(fileobj=package.extractfile(member), mode='r|xz') as sources:
                for source in sources:
                    part = source.name.split('/')
                    if len(part) < 3 or part[1] not in CORE_FOLDERS or not source.isfile():
                        continue
                    if not source.name.endswith(('.c', '.h')):
                        continue
                    content = sources.extractfile(source).read()
                    digest = hashlib.md5(content).digest()
                    if digest in seen or b'\0' in content:
                        continue
                    seen.add(digest)
                    count += 1
                    if count % 500 == 0:
                        reader.progress(min(count / 5400, 1), 'reading the kernel, %d files' % count)
                    yield content.decode('utf-8', 'replace')


# ---- english ----

class PlainText(html.parser.HTMLParser):
    """The text of an HTML page, with empty lines between its blocks."""
    BLOCKS = set('p div li ul ol h1 h2 h3 h4 h5 h6 table dt dd dl pre blockquote section article title hr item note '
                 'steps'.split())
    SKIPPED = set('script style nav head svg footer header form button select'.split())

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.skipping, self.verbatim = [], 0, 0

    def edge(self, tag):
        self.parts.append('\n\n' if tag in self.BLOCKS else {'br': '\n', 'tr': '\n', 'td': ' ', 'th': ' '}.get(tag, ''))

    def handle_starttag(self, tag, attributes):
        self.skipping += tag in self.SKIPPED
        self.verbatim += tag == 'pre'
        self.edge(tag)

    def handle_endtag(self, tag):
        self.skipping = max(0, self.skipping - (tag in self.SKIPPED))
        self.verbatim = max(0, self.verbatim - (tag == 'pre'))
        self.edge(tag)

    def handle_data(self, data):
        if not self.skipping:
            self.parts.append(data if self.verbatim else re.sub(r'\s+', ' ', data))


def html_text(content, path):
    page = PlainText()
    try:
        page.feed(decoded(content, path))
        page.close()
    except AssertionError:  # how the parser reports some broken declarations; what came before stands
        pass
    return ''.join(page.parts)


def manual_text(content, path):
    """A manual page as groff sets it, 78 columns wide."""
    source = gzip.decompress(content) if path.endswith('.gz') else content
    try:
        result = subprocess.run(['groff', '-Tutf8', '-P-cbou', '-rLL=78n', '-mandoc'], input=source,
                                capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return ''
    return result.stdout.decode('utf-8', 'replace')


def glosses(content, path):
    """WordNet's definitions and examples, behind the bar of each line."""
    return '\n\n'.join(line.split(' | ', 1)[1].strip() for line in decoded(content, path).split('\n') if ' | ' in line)


def sword_text(reader, package):
    """A commentary of the SWORD library: zlib blocks, described by (offset, size, unpacked size) triples."""
    files = dict(reader.members(package, r'/ot\.cz[sz]$'))
    index = next(content for path, content in files.items() if path.endswith('.czs'))
    blocks = next(content for path, content in files.items() if path.endswith('.czz'))
    text = []
    for offset, size, _ in struct.iter_unpack('<III', index):
        if size:
            text.append(zlib.decompress(blocks[offset:offset + size]).decode('utf-8', 'replace'))
    paragraphs = re.sub(r'<(?:br|p|div|lb)[^>]*>', '\n\n', '\n\n'.join(text))
    return html.unescape(re.sub(r'<[^>]+>', '', paragraphs))


ENGLISH_PACKAGES = '''sword-comm-tdavid bible-kjv bible-kjv-text anarchism vim-runtime wordnet-base dict-gcide
dict-foldoc dict-jargon dict-devil dict-vera fortunes fortunes-min perl-doc gimp-help-en libreoffice-help-en-us
python3.11-doc linux-doc-6.1 apache2-doc postgresql-doc-15 git-doc erlang-doc racket-doc cppreference-doc-en-html
octave-doc gnuplot-doc debian-policy developers-reference debian-history debian-faq debian-handbook mh-book
manpages manpages-dev freebsd-manpages'''.split()

# Beginning of a package's name: (its files, their converter); all others: HTML pages.
PARTS = {
    'anarchism': (r'\.md\.gz$', decoded),
    'vim-runtime': (r'/doc/.*\.txt$', decoded),
    'dict-': (r'\.dz$', decoded),
    'fortunes': (r'/games/fortunes/[^.]*$', lambda content, path: decoded(content).replace('\n%\n', '\n\n')),
    'perl-doc': (r'\.pod$', decoded),
    'python3.11-doc': (r'_sources/.*\.txt(\.gz)?$', decoded),
    'linux-doc': (r'\.(rst\.gz|rst|txt)$', decoded),
    'git-doc': (r'\.txt$', decoded),
    'manpages': (r'/man\d/.*\.gz$', manual_text),
    'freebsd-manpages': (r'/man\d/.*\.gz$', manual_text),
    'apache2-doc': (r'\.html(\.en)?$', html_text),
    'debian-handbook': (r'en-US.*\.html$', html_text),
    'debian-history': (r'en\.html$', html_text),
    'debian-faq': (r'en\.html$', html_text),
    'wordnet-base': (r'/data\.(noun|verb|adj|adv)$', glosses),
}


def is_prose(paragraph):
    letters = sum(character.isalpha() or character == ' ' for character in paragraph)
    return len(paragraph) >= 60 and letters >= 0.78 * len(paragraph)


def english_texts(reader, package):
    if package == 'bible-kjv':
        return
    if package == 'bible-kjv-text':
        # Chapters are the Bible's paragraphs: verses alone are too short to be told from listings.
        yield '\n\n'.join(kjv(reader))
        return
    if package == 'sword-comm-tdavid':
        yield sword_text(reader, package)
        return
    pattern, convert = next((part for start, part in PARTS.items() if package.startswith(start)),
                            (r'\.html?$', html_text))
    members = reader.members(package, pattern)
    if convert is not manual_text:
        for path, content in members:
            yield convert(content, path)
        return
    # groff is a process of its own for each of thousands of pages: as many at once as there are cores.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda member: convert(member[1], member[0]), members)


def english(reader):
    """Documents of at most 50 paragraphs of prose; a paragraph that was there already is left out."""
    seen = set()
    for i, package in enumerate(ENGLISH_PACKAGES):
        reader.progress(i / len(ENGLISH_PACKAGES), 'reading %s' % package)
        found = 0
        for text in english_texts(reader, package):
            kept = []
            for paragraph in re.split(r'\n[ \t]*\n', text):
                if not is_prose(paragraph):
                    continue
                line = re.sub(r'\s+', ' ', paragraph).strip()
                digest = hashlib.md5(line.encode('utf-8', 'replace')).digest()[:8]
                if digest not in seen:
                    seen.add(digest)
                    kept.append(line)
            found += len(kept)
            for paragraphs in in_groups(kept, PARAGRAPHS_A_DOCUMENT):
                yield '\n\n'.join(paragraphs)
        if not found and package != 'bible-kjv':
            raise reader.failure('the package %s holds no prose where it used to: this program must learn its new '
                                 'layout' % package)
