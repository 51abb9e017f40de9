"""Bidirectional recurrent layers over lines of unequal length."""

from ..base.backend import gluon, mx, nn, rnn

__all__ = ["BiGRU", "BiLSTM"]


class _Bidirectional(gluon.HybridBlock):
    """Two layers of opposite direction; the backward one starts at each line's own last frame.

    Called with x, float32 (T, N, input_size), and frames (N,), gives (T, N, 2 * hidden).
    """

    _layer = None

    def __init__(self, hidden, input_size, dropout=0.0, layer_options=None, **kwargs):
        super().__init__(**kwargs)
        options = {"input_size": input_size, **(layer_options or {})}
        with self.name_scope():
            self.ahead = self._layer(hidden, **options)
            self.back = self._layer(hidden, **options)
            # As in Keras: a dropped input is dropped in all frames, anew in each direction.
            self.drop = nn.Dropout(dropout, axes=(0,))

    def hybrid_forward(self, F, x, frames):
        back = F.SequenceReverse(x, frames, use_sequence_length=True)
        back = F.SequenceReverse(self.back(self.drop(back)), frames, use_sequence_length=True)
        return F.concat(self.ahead(self.drop(x)), back, dim=2)


class BiGRU(_Bidirectional):
    """Bidirectional GRU, its reset gate after the product (Keras' ``reset_after=True``).

    Parameters
    ----------
    hidden : int
        Units per direction.
    input_size : int
    dropout : float
        Of the inputs, one mask for all frames of a line.
    """

    _layer = rnn.GRU


class BiLSTM(_Bidirectional):
    """Bidirectional LSTM with two biases a gate, one more than Keras has.

    Parameters
    ----------
    hidden : int
        Units per direction.
    input_size : int
    dropout : float
        Of the inputs, one mask for all frames of a line.
    forget_bias : float
        The forget gates' bias at the start: 0, or 1 as in Keras.
    """

    _layer = rnn.LSTM

    def __init__(self, hidden, input_size, dropout=0.0, forget_bias=0.0, **kwargs):
        options = {"i2h_bias_initializer": mx.init.LSTMBias(forget_bias)} if forget_bias else {}
        super().__init__(hidden, input_size, dropout, options, **kwargs)
