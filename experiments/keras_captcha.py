"""Train the Keras example's captcha reader and tell how many validation captchas it reads.

    python experiments/keras_captcha.py [--tuned] [--resume] [key=value ...]

The recipe keras_captcha is the original network and training, keras_captcha_tuned, with --tuned,
the same network trained better. Both need a folder of images named after what they show
(data.options.path=FOLDER). The checkpoint is chosen on the validation captchas that are counted,
as in the original: with so few images none are left for a test.
"""

import sys

from reader import run

if __name__ == "__main__":
    tuned = "_tuned" if "--tuned" in sys.argv else ""
    sys.exit(run(f"keras_captcha{tuned}",
                 [a for a in sys.argv[1:] if a != "--tuned"], ["validation"]))
