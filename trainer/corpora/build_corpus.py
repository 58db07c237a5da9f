#!/usr/bin/python3
"""Builds the named text corpora out of Debian packages, with Python's standard library alone.

    build_corpus.py list
    build_corpus.py build NAME --cache FOLDER [--refresh]

Packages are downloaded by apt-get into FOLDER/packages and read from there; nothing is installed and no privilege is
needed. The result is FOLDER/sources/NAME with
    text         the documents, one after the other
    bounds       where each ends, as little-endian 64-bit numbers
    source.json  what it was made of: packages, versions, checksums, licences
It appears all at once, when it is complete; an interrupted call keeps the packages that it has got.

On standard error, for the program that called: "progress SHARE TEXT" lines, and "error TEXT" before a failure.
Exit codes: 0 done, 2 bad usage, 3 the machine lacks something (network, apt, a program); the text says what to do.
"""
import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True  # this folder may be shared or read-only
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import extract  # noqa: E402  (beside this file)

# name: (version of the recipe, packages, programs needed, documents of the packages, what it is)
SOURCES = {
    'gcide': (1, ['dict-gcide'], [], extract.gcide,
              'English dictionary with quotations, 40 MB of text, 15 MB to download, GPL-2+'),
    'kjv': (1, ['bible-kjv', 'bible-kjv-text'], [], extract.kjv,
            'King James Bible, 4 MB of text, 2.5 MB to download, public domain text'),
    'english': (1, extract.ENGLISH_PACKAGES, ['groff'], extract.english,
                'English prose of 35 packages, 164 MB of text, 287 MB to download, free licences'),
    'linux-core': (1, ['linux-source-6.1'], [], extract.linux_core,
                   'C of the Linux kernel\'s core, 106 MB of text, 139 MB to download, GPL-2'),
}


class Failure(Exception):
    """The machine lacks something; the text says what to do."""


def say(share, text):
    print('progress %.3f %s' % (share, text), file=sys.stderr, flush=True)


# ---- Packages ----

class Packages:
    """Debian packages in a folder of the cache, downloaded when they are not there."""

    def __init__(self, cache):
        self.folder = os.path.join(cache, 'packages')
        os.makedirs(self.folder, exist_ok=True)
        self.lists = os.path.join(cache, 'apt')
        self.private_lists = False

    def options(self):
        # apt's helper user cannot read a private folder, so as root it is told to stay root.
        options = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=15', '-o', 'APT::Sandbox::User=root']
        if self.private_lists:
            options += ['-o', 'Dir::State::Lists=%s/lists' % self.lists, '-o', 'Dir::Cache=%s' % self.lists]
        return options

    def apt(self, *arguments, folder=None):
        environment = dict(os.environ, LC_ALL='C')
        try:
            return subprocess.run(['apt-get', '-qq', *self.options(), *arguments], cwd=folder, env=environment,
                                  capture_output=True, text=True, errors='replace')
        except FileNotFoundError:
            raise Failure('apt-get is not on this machine, and named corpora are made of Debian packages: use your own '
                          'text (corpus.files), or copy the .deb files into %s' % self.folder) from None

    def update(self):
        """Package lists of our own, from the system's sources: the system's may be missing or old, and are not ours."""
        say(-1, 'reading the package lists (apt-get update, into %s)' % self.lists)
        for name in ('lists/partial', 'archives/partial'):
            os.makedirs(os.path.join(self.lists, name), exist_ok=True)
        self.private_lists = True
        return self.apt('update')

    def present(self, name):
        """The package's file, when it is here and undamaged."""
        for entry in sorted(os.listdir(self.folder), reverse=True):
            if not (entry.startswith(name + '_') and entry.endswith('.deb')):
                continue
            path = os.path.join(self.folder, entry)
            checksum = sha256(path)
            record = path + '.sha256'
            if not os.path.exists(record):  # somebody copied it here
                write_atomic(record, checksum.encode())
            elif open(record).read().strip() != checksum:
                os.remove(path)
                os.remove(record)
                continue
            return path, checksum
        return None

    def get(self, name, refresh):
        """The package's file and SHA-256; downloads it when needed (apt checks it against the signed lists)."""
        found = None if refresh else self.present(name)
        if found:
            return found
        with tempfile.TemporaryDirectory(prefix='.download-', dir=self.folder) as folder:
            result = self.apt('download', name, folder=folder)
            reasons = complaints(result)
            if result.returncode and not self.private_lists:
                # Not in the system's lists, or they are older than the mirror: with lists of our own, once more.
                reasons = complaints(self.update()) or reasons
                result = self.apt('download', name, folder=folder)
            files = [entry for entry in os.listdir(folder) if entry.endswith('.deb')]
            if result.returncode or not files:
                raise Failure('cannot download the Debian package %s (%s): connect to the network, set apt up, or copy '
                              'the .deb into %s' % (name, reasons or complaints(result) or 'apt-get said nothing',
                                                    self.folder))
            path = os.path.join(self.folder, files[0])
            checksum = sha256(os.path.join(folder, files[0]))
            write_atomic(path + '.sha256', checksum.encode())
            os.rename(os.path.join(folder, files[0]), path)
        return path, checksum


def complaints(result):
    lines = [line[3:].strip() for line in result.stderr.splitlines() if line.startswith(('E:', 'W:'))]
    return '; '.join(dict.fromkeys(lines))[:300]


@contextlib.contextmanager
def package_archive(path):
    """The package's content as a tar stream."""
    try:
        process = subprocess.Popen(['dpkg-deb', '--fsys-tarfile', path], stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise Failure('dpkg-deb is not on this machine, and Debian packages cannot be read without it: install dpkg'
                      ) from None
    try:
        with tarfile.open(fileobj=process.stdout, mode='r|') as archive:
            yield archive
        while process.stdout.read(1 << 20):
            pass
        process.stdout.close()
        if process.wait():
            raise Failure('%s is damaged (dpkg-deb cannot read it): remove it and try again' % path)
    except tarfile.TarError as problem:
        raise Failure('%s is damaged (%s): remove it and try again' % (path, problem)) from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


# ---- Files ----

def sha256(path):
    hash_ = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(1 << 20), b''):
            hash_.update(chunk)
    return hash_.hexdigest()


def write_atomic(path, content):
    temporary = '%s.tmp-%d' % (path, os.getpid())
    with open(temporary, 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)


def write_source(name, version, about, folder, packages, documents):
    bounds, total, checksum = bytearray(), 0, hashlib.sha256()
    with open(os.path.join(folder, 'text'), 'wb') as file:
        for document in documents:
            content = document.encode('utf-8', 'replace') if isinstance(document, str) else document
            if not content.strip():
                continue
            file.write(content)
            checksum.update(content)
            total += len(content)
            bounds += struct.pack('<Q', total)
        file.flush()
        os.fsync(file.fileno())
    if not total:
        raise Failure('the packages of %s hold no text of the expected kind: their layout has changed, and this program '
                      'must learn the new one' % name)
    write_atomic(os.path.join(folder, 'bounds'), bytes(bounds))
    manifest = {'source': name, 'recipe': version, 'about': about, 'bytes': total, 'documents': len(bounds) // 8,
                'sha256': checksum.hexdigest(), 'packages': packages}
    write_atomic(os.path.join(folder, 'source.json'), json.dumps(manifest, indent=1).encode())
    return manifest


def is_current(folder, version):
    try:
        with open(os.path.join(folder, 'source.json')) as file:
            manifest = json.load(file)
        return (manifest['recipe'] == version and
                os.path.getsize(os.path.join(folder, 'text')) == manifest['bytes'] and
                os.path.getsize(os.path.join(folder, 'bounds')) == 8 * manifest['documents'])
    except (OSError, ValueError, KeyError):
        return False


def build(name, cache, refresh):
    version, package_names, programs, documents_of, about = SOURCES[name]
    sources = os.path.join(cache, 'sources')
    folder = os.path.join(sources, name)
    os.makedirs(sources, exist_ok=True)
    lock = open(os.path.join(sources, '.%s.lock' % name), 'w')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(-1, 'waiting for another process that builds %s' % name)
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not refresh and is_current(folder, version):
        return
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        raise Failure('%s needs %s, which %s not installed (without it the text would be another one): '
                      'apt-get install %s' % (name, ' and '.join(missing), 'is' if len(missing) == 1 else 'are',
                                              ' '.join(missing)))
    store = Packages(cache)
    files, packages = {}, {}
    for i, package in enumerate(package_names):
        say(0.5 * i / len(package_names), 'package %s' % package)
        path, checksum = store.get(package, refresh)
        files[package] = path
        packages[package] = {'file': os.path.basename(path), 'version': os.path.basename(path).split('_')[1]
                             .replace('%3a', ':'), 'bytes': os.path.getsize(path), 'sha256': checksum}
    staging = os.path.join(sources, '.%s.building' % name)
    shutil.rmtree(staging, ignore_errors=True)
    os.makedirs(staging)
    try:
        reader = extract.Reader(files, package_archive, lambda share, text: say(0.5 + 0.5 * share, text), Failure)
        manifest = write_source(name, version, about, staging, packages, documents_of(reader))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    say(1, '%s: %.1f MB in %d documents' % (name, manifest['bytes'] / 1e6, manifest['documents']))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('list', help='the named corpora')
    builder = commands.add_parser('build', help='build one')
    builder.add_argument('name', choices=sorted(SOURCES))
    builder.add_argument('--cache', required=True, help='folder for packages and results')
    builder.add_argument('--refresh', action='store_true', help='build again although it is there')
    arguments = parser.parse_args()
    if arguments.command == 'list':
        for name, entry in SOURCES.items():
            print('%-11s %s' % (name, entry[-1]))
        return 0
    try:
        build(arguments.name, os.path.abspath(arguments.cache), arguments.refresh)
    except Failure as failure:
        print('error %s' % failure, file=sys.stderr)
        return 3
    except OSError as problem:
        print('error %s' % problem, file=sys.stderr)
        return 3
    return 0


if __name__ == '__main__':
    sys.exit(main())
