import numpy as np
import pytest

from ocr.base.backend import mx, nd
from ocr.batching import PreparedLines
from ocr.data import open_dataset
from ocr.decoding import build_decoder
from ocr.image import PreprocessConfig
from ocr.models import get_model
from ocr.recognition.network import compute_logits
from ocr.text.alphabet import Alphabet
from ocr.text.metrics import TextMetric
from ocr.training.validation import ctc_loss, validate

from ..conftest import write_table


def test_scores_are_those_of_all_logits_at_once_with_a_batch_held_at_a_time(tmp_path):
    texts = ["abc", "a longer line of words", "de", "zz", "aaaa", "caé"]
    path = write_table(tmp_path, "lines", texts)
    prepared = PreparedLines(open_dataset("table", path=str(path)), PreprocessConfig(height=32))
    alphabet = Alphabet.from_texts(texts[:-1])
    mx.random.seed(4)
    net = get_model("small", alphabet.num_classes, height=32, body_channels=4, body_blocks=1,
                    scale_channels=[6], scale_blocks=[1], hidden=[5, 7])
    net.initialize(mx.init.Normal(0.3))
    decoder = build_decoder("greedy", alphabet)
    logits = compute_logits(net, prepared, 2)
    readings = [hypotheses[0].text for hypotheses in decoder.decode(logits)]
    metric = TextMetric()
    metric.update_many(texts, readings)
    # The last holds a character that the alphabet has not.
    losses = [ctc_loss()(nd.array(line[None]), nd.array([alphabet.encode(text)])).asscalar()
              for line, text in zip(logits, texts[:-1])]

    class Watched:
        sizes = []

        def decode(self, logits):
            self.sizes.append(len(logits))
            return decoder.decode(logits)

    scores = validate(net, prepared, Watched(), alphabet, 2, mx.cpu(), shown=4)
    assert Watched.sizes == [2, 2, 2]
    assert scores.readings == readings[:4] and len(set(readings)) > 1
    assert scores.cer == metric.summary(bootstrap=0).cer
    assert scores.loss == pytest.approx(np.mean(losses), rel=1e-4)
