"""Draw lines with handwriting fonts, for the French model: hands that no volunteer has.

    python experiments/font_lines.py FOLDER [LINES [SEED]]

The fonts are free ones (SIL Open Font Licence, some Apache-2.0), school hands of many countries
among them; they are fetched with ``npm pack`` from Fontsource's packages into runs/fonts, once.
The texts are those of recombined_lines.py, as far as they have no other characters than the
transcripts. Writes FOLDER/lines/ and the table FOLDER/lines.tsv.
"""

import dataclasses
import glob
import os
import subprocess
import sys
import tarfile
import tempfile

from PIL import Image
from recipe import tells_errors
from recombined_lines import TRAIN, french_texts
from tqdm import tqdm

from lm.base.errors import DataError
from lm.base.files import atomic_path, write_text
from ocr.base.randomness import generator
from ocr.data import open_dataset
from ocr.synthesis.fonts import covers
from ocr.synthesis.strokes import make_style, render_line

FONTS = "runs/fonts"
#: Packages @fontsource/NAME; those of Playwrite are the cursives that schools teach.
PACKAGES = """
playwrite-fr-moderne playwrite-fr-trad playwrite-be-vlg playwrite-be-wal playwrite-ca playwrite-ch
playwrite-es playwrite-it-moderna playwrite-it-trad playwrite-pt playwrite-us-modern
playwrite-us-trad playwrite-gb-s playwrite-gb-j playwrite-de-grund playwrite-de-la playwrite-de-sas
playwrite-de-va playwrite-at playwrite-nl playwrite-dk-loopet playwrite-no playwrite-is
playwrite-hr playwrite-cz playwrite-pl playwrite-hu playwrite-ro playwrite-br playwrite-mx
playwrite-co playwrite-ar playwrite-cu playwrite-pe playwrite-cl playwrite-au-sa playwrite-au-vic
playwrite-nz playwrite-za playwrite-in
caveat dancing-script shadows-into-light shadows-into-light-two indie-flower satisfy kalam courgette
patrick-hand sacramento gloria-hallelujah handlee parisienne cookie homemade-apple
covered-by-your-grace reenie-beanie nothing-you-could-do cedarville-cursive la-belle-aurore
over-the-rainbow sue-ellen-francisco dawning-of-a-new-day zeyada waiting-for-the-sunrise
just-me-again-down-here loved-by-the-king swanky-and-moo-moo give-you-glory the-girl-next-door
crafty-girls coming-soon architects-daughter annie-use-your-telescope delius schoolbell neucha
bad-script marck-script mansalva nanum-pen-script gaegu short-stack sedgwick-ave mali sriracha itim
gochi-hand pangolin kristi meddon mr-de-haviland mrs-saint-delafield bilbo allura alex-brush
tangerine italianno rouge-script qwigley ruthie stalemate league-script miss-fajardose licorice
square-peg oooh-baby shalimar vujahday-script whisper send-flowers fuzzy-bubbles beth-ellen borel
edu-sa-beginner edu-nsw-act-foundation edu-vic-wa-nt-beginner mynerve ms-madi estonia puppies-play
caramel grape-nuts hi-melody yomogi klee-one just-another-hand rancho dekko kavivanar
""".split()
#: Texts tried for one line until its font has the characters of one.
TRIES = 30


def fetch(packages, folder):
    """Return the font files of the packages that there are, fetched where they are not yet."""
    os.makedirs(folder, exist_ok=True)
    for package in tqdm(packages, desc="fonts", disable=None, leave=False):
        target = os.path.join(folder, f"{package}.woff")
        if os.path.exists(target):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(["npm", "pack", "--silent", f"@fontsource/{package}"],
                                  cwd=scratch, capture_output=True, text=True)
            found = glob.glob(os.path.join(scratch, "*.tgz"))
            if done.returncode or not found:
                print(f"{package}: not fetched ({done.stderr.strip()[:100]})", file=sys.stderr)
                continue
            member = f"package/files/{package}-latin-400-normal.woff"
            with tarfile.open(found[0]) as archive:
                if member not in archive.getnames():
                    print(f"{package}: holds no {member}", file=sys.stderr)
                    continue
                with atomic_path(target) as path, open(path, "wb") as out:
                    out.write(archive.extractfile(member).read())
    return sorted(glob.glob(os.path.join(folder, "*.woff")))


@tells_errors
def main(folder, lines="5000", seed="1"):
    """Fetch the fonts, draw the lines; returns the exit status."""
    fonts = fetch(PACKAGES, FONTS)
    if not fonts:
        raise DataError(f"{FONTS}: no font could be fetched; is npm on PATH?")
    known = set("".join(open_dataset("table", path=TRAIN).texts()))
    texts = [text for text in french_texts(int(seed)) if known.issuperset(text)]
    os.makedirs(os.path.join(folder, "lines"), exist_ok=True)
    rows = []
    for index in tqdm(range(int(lines)), desc="drawing", unit="line", disable=None, leave=False):
        rng = generator(int(seed), index)
        font = fonts[int(rng.integers(len(fonts)))]
        text = next((t for t in (texts[int(rng.integers(len(texts)))] for _ in range(TRIES))
                     if covers(font, t)), None)
        if text is None:
            continue
        file = f"lines/{index:06d}.jpg"
        style = dataclasses.replace(make_style((int(seed), index)), font_file=font)
        # Drawn anew each time: which fonts there are decides every line.
        with atomic_path(os.path.join(folder, file)) as path:
            Image.fromarray(render_line(text, style, rng).image).save(path, "JPEG", quality=90)
        rows.append(f"{file}\t{os.path.basename(font)}\t{text}\n")
    write_text(os.path.join(folder, "lines.tsv"), "file\twriter\ttext\n" + "".join(rows))
    print(f"{folder}/lines.tsv: {len(rows)} lines in {len(fonts)} fonts")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
