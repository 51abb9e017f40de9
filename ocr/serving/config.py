"""Settings of the service."""

from dataclasses import dataclass, field
from typing import Annotated, Optional

from lm.base.cores import available_cores
from lm.base.errors import ConfigError
from lm.base.settings import Range, Settings, from_mapping

__all__ = ["ServingConfig", "SIGNATURES", "check_name"]

#: Of ``:predict`` -> its one input.
SIGNATURES = {"serving_default": "images", "softmax": "images", "text": "image"}
#: Pillow itself refuses images of more.
MOST_PIXELS = 178_000_000

_Count = Annotated[int, Range(1)]
_Whole = Annotated[int, Range(0)]
_Time = Annotated[float, Range(0, below=1e9)]
_Limit = Annotated[float, Range(above=0, below=1e9)]


@dataclass(frozen=True)
class ServingConfig(Settings):
    """How ``ocr serve`` serves.

    Attributes
    ----------
    models : dict
        Name -> path: a file of ``ocr export`` or ``ocr train``, or a folder with numbered
        versions (``PATH/1/model.onnx``, ``PATH/2/model.onnx``, ...), whose highest is served.
        Without a name, requests go to the first.
    host, port :
        Where to listen; port 0 takes any free one. The default port is TensorFlow Serving's.
    device : str
        As for ``ocr recognise``.
    decoder : str or None
        A decoder's name, for models that bring none along or to read otherwise.
    signature : str
        What ``:predict`` answers to requests that name no signature.
    workers : int
        Threads that run one model's network, each a batch at a time.
    threads : int
        Of one run of an ONNX network; 0 shares the cores among the workers.
    readers : int
        Threads that unpack images, find lines and decode; 0 for one a core.
    max_batch : int
        Most lines of one run of the network.
    batch_wait_ms : float
        How long a line may wait for others to be read with it, in milliseconds.
    queue : int
        Most lines that wait for one model's network; more are refused (429).
    max_requests : int
        Most requests in work at once; more are refused (429).
    max_bytes : int
        Largest body of a request.
    max_pixels : int
        Largest image, looked at before it is unpacked; at most `MOST_PIXELS`.
    max_files : int
        Most images of one request.
    max_lines : int
        Most lines of one request.
    jobs : int
        Jobs that are read at the same time; others wait, without an end to it.
    max_jobs : int
        Most jobs that wait, are read or are kept.
    max_job_bytes : int
        Largest body of a request to ``/jobs`` or ``/export``.
    max_pages : int
        Most pages of one job; of ``/recognition``, `max_files`.
    keep : float
        Seconds that a job's results are kept after the last look at them.
    keys : str or None
        File of API keys (see `ocr.serving.keys`); without it nobody is asked for one.
    rate : float
        Requests a minute that each key may send, and each address where no keys are asked for;
        more are refused (429). 0 for no limit.
    timeout : float
        Seconds from a request's last byte to its answer (504); jobs have no such limit.
    upload_timeout : float
        Seconds for a request's body to arrive (408).
    drain : float
        Seconds that requests in flight are given at the end.
    poll : float
        Seconds between two looks for new versions; 0 looks at the start only.
    cors : tuple of str
        Origins whose pages may use the service, e.g. "https://example.org"; "*" for all.
    state : str or None
        File that counts requests in flight, so that the next start can say how many a kill
        cost.
    """

    models: dict = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: Annotated[int, Range(0, 65535)] = 8501
    device: str = "auto"
    decoder: Optional[str] = None
    signature: str = "serving_default"
    workers: _Count = 1
    threads: _Whole = 0
    readers: _Whole = 0
    max_batch: _Count = 16
    batch_wait_ms: _Time = 5.0
    queue: _Count = 512
    max_requests: _Count = 128
    max_bytes: _Count = 20 * 2**20
    max_pixels: Annotated[int, Range(1, MOST_PIXELS)] = 40_000_000
    max_files: _Count = 32
    max_lines: _Count = 1000
    jobs: _Count = 2
    max_jobs: _Count = 100
    max_job_bytes: _Count = 200 * 2**20
    max_pages: _Count = 500
    keep: _Time = 3600.0
    keys: Optional[str] = None
    rate: _Time = 0.0
    timeout: _Limit = 120.0
    upload_timeout: _Limit = 60.0
    drain: _Time = 30.0
    poll: _Time = 2.0
    cors: tuple[str, ...] = ()
    state: Optional[str] = None

    def __post_init__(self):
        super().__post_init__()
        for name, path in self.models.items():
            check_name(name)
            if not isinstance(path, str) or not path:
                raise ConfigError(f"serving: the path of model {name!r} is not a string")
        if self.signature not in SIGNATURES:
            raise ConfigError(f"serving: unknown signature {self.signature!r}; "
                              f"known: {', '.join(SIGNATURES)}")
        for origin in self.cors:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise ConfigError(f"serving: cors: {origin!r} is no origin; expected "
                                  "http(s)://host[:port], or * for all")

    @classmethod
    def from_dict(cls, value):
        """Build from a mapping; `ConfigError` names unknown keys and wrong types."""
        return from_mapping(cls, value, "serving")

    @property
    def network_threads(self):
        """Threads of one run of a network."""
        return self.threads or max(1, available_cores() // self.workers)

    @property
    def reader_threads(self):
        """Threads that unpack images, find lines and decode."""
        return self.readers or available_cores()


def check_name(name):
    """Raise `ConfigError` unless `name` can stand in a model's address."""
    if not isinstance(name, str) or not name or not all(
            c.isascii() and (c.isalnum() or c in "-_.") for c in name):
        raise ConfigError(f"serving: {name!r} is no model name: letters, digits, - _ . are")
