"""Write synthetic handwriting as a folder in IAM's own format.

Then read it with: data.source=iam data.options.root=FOLDER.
"""

from ..common import positive, say


def add_arguments(parser):
    parser.add_argument("folder")
    parser.add_argument("--forms", type=positive, default=120, metavar="N")
    parser.add_argument("--lines-per-form", type=positive, default=9, metavar="N")
    parser.add_argument("--writers", type=positive, default=40, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fonts", default="auto", choices=("auto", "hershey"),
                        help="auto mixes in the handwriting fonts of the system; hershey gives "
                             "the same on every machine (default: auto)")
    parser.add_argument("--text", metavar="FILE",
                        help="UTF-8 text to write; default: sentences made up")


def run(arguments):
    from ...synthesis.synthetic import write_iam_tree

    written = write_iam_tree(arguments.folder, forms=arguments.forms,
                             lines_per_form=arguments.lines_per_form,
                             writers=arguments.writers, seed=arguments.seed,
                             text_file=arguments.text, fonts=arguments.fonts)
    say(f"{arguments.folder}: {written}")
