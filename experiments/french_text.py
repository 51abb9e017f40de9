"""Gather general French text and word frequencies, for language models of French lines.

    python experiments/french_text.py [FOLDER]

Text comes from the documentation in Debian's packages (downloaded with apt-get and unpacked,
not installed), word frequencies from the wordfreq package (``pip install wordfreq``). Writes
FOLDER/text.txt, one paragraph a line without repetitions, and FOLDER/words.tsv, a word and its
frequency per thousand million words a row. FOLDER is runs/text-fr by default.
"""

import gettext
import glob
import gzip
import os
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser

from lm.base.files import atomic_path

PACKAGES = {
    "libreoffice-help-fr": "usr/share/libreoffice/help/fr/**/*.html",
    "gimp-help-fr": "usr/share/gimp/2.0/help/fr/**/*.html",
    "debian-handbook": "usr/share/doc/debian-handbook/html/fr-FR/**/*.html",
    "debian-reference-fr": "usr/share/debian-reference/*.fr.html",
    "lilypond-doc-html-fr": "usr/share/doc/lilypond/html/**/*.fr.html",
    "manpages-fr": "usr/share/man/fr/**/*.gz",
    "iso-codes": "usr/share/locale/fr/LC_MESSAGES/*.mo",
}
_BLOCKS = {"p", "li", "td", "th", "h1", "h2", "h3", "h4", "h5", "dt", "dd", "div", "br", "tr",
           "pre", "title", "caption"}
_SILENT = {"script", "style", "pre", "code", "kbd", "tt"}


class _Paragraphs(HTMLParser):
    """Collects the text of an HTML page, a block an entry, program text left out."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.blocks, self.silent = [], [], 0

    def _close(self):
        self.blocks.append("".join(self.parts))
        self.parts = []

    def handle_starttag(self, tag, attributes):
        if tag in _BLOCKS:
            self._close()
        self.silent += tag in _SILENT

    def handle_endtag(self, tag):
        if tag in _BLOCKS:
            self._close()
        self.silent = max(0, self.silent - (tag in _SILENT))

    def handle_data(self, data):
        if not self.silent:
            self.parts.append(data)


def _from_html(path):
    parser = _Paragraphs()
    with open(path, encoding="utf-8", errors="ignore") as source:
        parser.feed(source.read())
    parser.close()
    return parser.blocks


def _from_manual(path):
    """Paragraphs of a manual page: lines between requests, markup removed."""
    with gzip.open(path, "rt", encoding="utf-8", errors="ignore") as source:
        text = source.read()
    text = re.sub(r"^\.(?:B|I|BR|IR|RB|RI|BI|IB) (.*)$", r"\1", text, flags=re.M)
    text = re.sub(r"\\f.|\\&|\\/|\\,", "", text).replace("\\-", "-").replace("\\ ", " ")
    return re.split(r"\n\.[^\n]*|\n\n", text)


def _from_catalogue(path):
    with open(path, "rb") as source:
        entries = gettext.GNUTranslations(source)._catalog
    return [text for key, text in entries.items() if key and isinstance(text, str)]


def _paragraphs(path):
    if path.endswith(".html"):
        return _from_html(path)
    return _from_manual(path) if path.endswith(".gz") else _from_catalogue(path)


def _is_prose(text):
    letters = sum(c.isalpha() or c in " '’,." for c in text)
    return len(text) >= 3 and letters >= 0.9 * len(text) and "\\" not in text


def gather(folder):
    """Download, unpack and read all packages; return distinct paragraphs in order."""
    found = {}
    for package, pattern in PACKAGES.items():
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        archive = glob.glob(os.path.join(folder, f"{package}_*.deb"))[0]
        root = os.path.join(folder, package)
        subprocess.run(["dpkg", "-x", archive, root], check=True)
        before = len(found)
        for path in sorted(glob.glob(os.path.join(root, pattern), recursive=True)):
            for block in _paragraphs(path):
                text = " ".join(block.split())
                if _is_prose(text):
                    found[text] = None
        print(f"{package}: {len(found) - before} paragraphs")
    return list(found)


def main(folder="runs/text-fr"):
    """Write text.txt and words.tsv into `folder`."""
    try:
        import wordfreq
    except ImportError:
        print("error: word frequencies need the wordfreq package; pip install wordfreq")
        return 2
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as downloads:
        try:
            texts = gather(downloads)
        except (OSError, subprocess.CalledProcessError, IndexError) as error:
            print(f"error: Debian's packages could not be read ({error}); this needs apt-get and "
                  "dpkg, and apt-get update run before")
            return 2
    with atomic_path(os.path.join(folder, "text.txt")) as path, \
            open(path, "w", encoding="utf-8") as out:
        out.writelines(f"{text}\n" for text in texts)
    words = wordfreq.get_frequency_dict("fr", wordlist="large")
    with atomic_path(os.path.join(folder, "words.tsv")) as path, \
            open(path, "w", encoding="utf-8") as out:
        out.writelines(f"{word}\t{round(1e9 * f)}\n" for word, f in
                       sorted(words.items(), key=lambda item: (-item[1], item[0])))
    print(f"{folder}: text.txt ({sum(map(len, texts)):,} characters), words.tsv ({len(words):,} "
          "words)")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
