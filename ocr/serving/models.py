"""Models by name, their versions on disk, and the change from one version to the next."""

import logging
import os
import threading
import time

from lm.base.errors import CheckpointError, MissingDataError, OCRError

from .batching import Batcher
from .errors import NotFound, Unavailable

__all__ = ["ModelStore", "ServedModel", "Version", "find_versions"]

log = logging.getLogger("ocr.serving")

#: States of a version, as TensorFlow Serving names them.
LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"
#: Files of a version's folder, best first.
_SUFFIXES = (".onnx", ".ckpt")


def find_versions(path):
    """List the versions of a model on disk.

    Parameters
    ----------
    path : str
        A file, which is version 1, or a folder whose folders with a number for a name each
        hold ``model.onnx``, or else one ``.onnx`` or ``.ckpt`` file.

    Returns
    -------
    dict
        Number -> (file or None where the folder holds none or several, mark that changes when
        the file does).

    Raises
    ------
    MissingDataError
        Neither a file nor a folder with a version.
    """
    if os.path.isfile(path):
        return {1: (path, _mark(path))}
    try:
        names = os.listdir(path)
    except OSError:
        raise MissingDataError(f"{path}: no such model") from None
    found = {}
    for name in names:
        folder = os.path.join(path, name)
        if name.isascii() and name.isdigit() and int(name) < 2**63 and os.path.isdir(folder):
            file = _model_file(folder)
            found[int(name)] = (file, _mark(file) if file else None)
    if not found:
        raise MissingDataError(f"{path}: no numbered versions in this folder; expected "
                               f"{os.path.join(path, '1', 'model.onnx')}")
    return found


def _model_file(folder):
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    for suffix in _SUFFIXES:
        fit = [name for name in names if name.endswith(suffix) and not name.startswith(".")]
        if "model" + suffix in fit:
            fit = ["model" + suffix]
        if fit:
            return os.path.join(folder, fit[0]) if len(fit) == 1 else None
    return None


def _mark(path):
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return path, stat.st_size, stat.st_mtime_ns, stat.st_ino


class Version:
    """One version of a model.

    Attributes
    ----------
    number : int
    state : str
        As TensorFlow Serving names them.
    error : str
        Why it is not served; empty when all is well.
    model : ServedRecogniser or None
        While it is loaded.
    batcher : Batcher or None
    users : int
        Requests that work with it.
    """

    def __init__(self, number, mark=None):
        self.number, self.mark = number, mark
        self.state, self.error = LOADING, ""
        self.model = self.batcher = None
        self.users = 0


class ServedModel:
    """A name, the versions behind it, and which of them answers.

    Parameters
    ----------
    name, path : str
    open_model : callable
        File -> `ServedRecogniser`.
    config : ServingConfig
    metrics : Metrics
    """

    def __init__(self, name, path, open_model, config, metrics):
        self.name, self.path = name, path
        self._open_model, self._config, self._metrics = open_model, config, metrics
        self._lock = threading.Lock()
        self._versions, self._current = {}, None
        self._seen, self._said = {}, None
        metrics.queue.labels(name).set_function(self._waiting)

    def refresh(self, first=False):
        """Look at the disk; load and swap in what is new, report what is broken.

        Parameters
        ----------
        first : bool
            At the start nothing serves yet, so that it is an error when nothing can be loaded.

        Raises
        ------
        OCRError
            `first`, and no version can be loaded.
        """
        try:
            found = find_versions(self.path)
        except MissingDataError as error:
            if first:
                raise
            self._say_once(f"{self.name}: {error}; version {self._current.number} stays")
            return
        seen, self._seen = self._seen, {n: mark for n, (_, mark) in found.items()}
        with self._lock:
            for number in list(self._versions):
                version = self._versions[number]
                if number not in found and version.state == END:
                    del self._versions[number]
        trouble = None
        for number in sorted(found, reverse=True):
            file, mark = found[number]
            if self._current is not None:
                if number == self._current.number:
                    return
                # It may still be being written: look again when it has kept still.
                if seen.get(number, ()) != mark:
                    continue
            known = self._versions.get(number)
            if known is not None and known.error and known.mark == mark:
                continue
            if known is not None and known.state == UNLOADING:
                continue
            try:
                self._load(number, file, mark)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the old one serves on
                trouble = trouble or error
                self._failed(number, mark, error)
        if first:
            raise trouble
        if self._current.number not in found:
            self._say_once(f"{self.name}: version {self._current.number} is gone from "
                           f"{self.path}, nothing else can be loaded; it stays")

    def acquire(self, number=None):
        """Return the version that answers, counted as in use until `release`.

        Raises
        ------
        NotFound
            The numbered version is not served.
        Unavailable
            Nothing is loaded.
        """
        with self._lock:
            version = self._current
            if number is not None and (version is None or version.number != number):
                raise NotFound(f"Servable not found for request: Specific({self.name}, {number})")
            if version is None:
                raise Unavailable(f"model {self.name} is not loaded")
            version.users += 1
            return version

    def release(self, version):
        """Give back what `acquire` returned."""
        with self._lock:
            version.users -= 1

    def versions(self):
        """Return the known versions, newest first."""
        with self._lock:
            return [self._versions[n] for n in sorted(self._versions, reverse=True)]

    @property
    def current(self):
        """The `Version` that answers, or None."""
        return self._current

    def close(self, timeout):
        """Stop; lines that still wait are read first, for at most `timeout` seconds."""
        with self._lock:
            version, self._current = self._current, None
        if version is not None:
            version.state = UNLOADING
            version.batcher.close(timeout)
            version.state = END

    def _waiting(self):
        version = self._current
        return len(version.batcher) if version is not None else 0

    def _load(self, number, file, mark):
        version = Version(number, mark)
        with self._lock:
            self._versions[number] = version
        if file is None:
            raise CheckpointError(f"{os.path.join(self.path, str(number))}: holds no model file, "
                                  "or several; expected model.onnx")
        started = time.monotonic()
        version.model = self._open_model(file)
        version.model.warm_up()
        labels = self._metrics.batch_lines.labels(self.name), \
            self._metrics.batch_seconds.labels(self.name)

        def note(lines, seconds):
            labels[0].observe(lines)
            labels[1].observe(seconds)

        config = self._config
        version.batcher = Batcher(
            version.model.run, config.max_batch, config.batch_wait_ms / 1000, config.queue,
            config.workers, version.model.width_step, note, f"network-{self.name}-{number}")
        with self._lock:
            version.state = AVAILABLE
            before, self._current = self._current, version
        self._metrics.version.labels(self.name).set(number)
        log.info("model %s: version %d loaded from %s in %.1f s%s", self.name, number, file,
                 time.monotonic() - started,
                 f", in place of {before.number}" if before else "")
        if before is not None:
            self._retire(before)

    def _retire(self, version):
        """Unload a version when its last request is answered, without waiting for that here."""
        version.state = UNLOADING

        def unload():
            while True:
                with self._lock:
                    if not version.users:
                        break
                time.sleep(0.02)
            version.batcher.close()
            version.model = version.batcher = None
            version.state = END
            log.info("model %s: version %d unloaded", self.name, version.number)

        threading.Thread(target=unload, name=f"unload-{self.name}", daemon=True).start()

    def _failed(self, number, mark, error):
        version = Version(number, mark)
        version.state, version.error = END, " ".join(str(error).split()) or type(error).__name__
        with self._lock:
            self._versions[number] = version
        self._metrics.load_failures.labels(self.name).inc()
        log.error("model %s: version %d cannot be loaded (%s)%s", self.name, number,
                  version.error, f"; version {self._current.number} stays"
                  if self._current else "",
                  exc_info=None if isinstance(error, OCRError) else error)

    def _say_once(self, message):
        if message != self._said:
            self._said = message
            log.warning(message)


class ModelStore:
    """All models of a service, and the thread that looks for new versions.

    Parameters
    ----------
    config : ServingConfig
    open_model : callable
        As for `ServedModel`.
    metrics : Metrics
    """

    def __init__(self, config, open_model, metrics):
        self._config = config
        self._models = {name: ServedModel(name, path, open_model, config, metrics)
                        for name, path in config.models.items()}
        self._stop = threading.Event()
        self._thread = None

    def __iter__(self):
        return iter(self._models.values())

    def get(self, name=None):
        """Return the model `name`, the first one by default, or None."""
        if name is None:
            return next(iter(self._models.values()))
        return self._models.get(name)

    def start(self):
        """Load every model, then look for new versions every `config.poll` seconds.

        Raises
        ------
        OCRError
            A model has no version that can be loaded.
        """
        for model in self:
            model.refresh(first=True)
        if self._config.poll:
            self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)
            self._thread.start()

    def close(self, timeout=None):
        """Stop looking for versions and end the models' threads."""
        self._stop.set()
        for model in self:
            model.close(timeout)

    def _watch(self):
        while not self._stop.wait(self._config.poll):
            for model in self:
                try:
                    model.refresh()
                except Exception:  # noqa: BLE001 - the watch goes on, the versions serve on
                    log.exception("model %s: looking for new versions failed", model.name)
