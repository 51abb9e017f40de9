"""Train the fixed-length captcha reader on captchas as they are drawn, then read fresh ones.

    python experiments/shixin.py [--resume] [key=value ...]

Needs the package captcha. Case is folded (data.options.case=keep tells it apart: 62 characters).
The 1,000 captchas that are counted are of another seed and of another split than those trained
on, and choose nothing. Your own images: data.source=folder data.options={path: FOLDER,
label: prefix, case: lower, test: 0.1}.
"""

import sys

from reader import run

if __name__ == "__main__":
    sys.exit(run("shixin", sys.argv[1:], ["test"]))
