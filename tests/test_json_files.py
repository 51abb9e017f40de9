"""Every JSON file that the library reads: what is damaged ends in one line that names the file."""

import pytest

from lm.base.errors import OCRError
from lm.confusions import ConfusionModel
from lm.denoising import DenoisingPair, read_pairs, write_pairs
from lm.ngram import load_ngram
from lm.noise import NoiseModel
from ocr.evaluation.report import EvaluationReport
from ocr.layout.segmentation import read_segmentation
from ocr.text.alphabet import Alphabet

HEADER = '{"format": "denoising-pairs-1", "pairs": 1}\n'
DAMAGED = ['{"a": ' + "9" * 6000 + "}", "[" * 100_000, '{"a": NaN}', "5", "[]", '{"a"', "\ufffe",
           '{"characters": 5}', '{"characters": [[]]}', '{"characters": "ab", "replacement": {}}',
           HEADER + '{"id": [], "truth": "a", "reading": "b"}',
           HEADER + '{"id": "a", "truth": 5, "reading": "b"}',
           HEADER + '{"id": "a", "truth": "b"}']


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
@pytest.mark.parametrize("read", [
    Alphabet.from_file, ConfusionModel.load, NoiseModel.load, read_pairs,
    EvaluationReport.load_json, load_ngram, lambda path: read_segmentation(path, (100, 100))],
    ids=["alphabet", "confusions", "noise", "pairs", "report", "ngram", "segmentation"])
def test_damaged(tmp_path, read, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    (tmp_path / "x.arpa").write_text("\\data\\\n")
    if read is load_ngram:
        path = path.with_suffix("")
    if text == "[]" and "lambda" in repr(read):
        assert read(str(path)) == []
        return
    with pytest.raises(OCRError) as caught:
        read(str(path))
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 500


def test_pairs_come_back_as_they_were(tmp_path):
    pairs = [DenoisingPair("1", "a\u2028b", "a b", 0.5, [("a b", -1.0)], False, 1, "train")]
    write_pairs(str(tmp_path / "p.jsonl"), pairs, {"readings_of_training_lines": "none"})
    assert read_pairs(str(tmp_path / "p.jsonl"))[1] == pairs
