"""Pages that are read in the background: a queue without an end to waiting, line by line."""

import asyncio
import dataclasses
import logging
import os
import secrets
import shutil
import tempfile
import time
from typing import Any, NamedTuple

from lm.base.errors import OCRError

from ..formats import reading_to_dict
from .documents import Document, picture
from .errors import Busy, NotFound

__all__ = ["Job", "Jobs"]

log = logging.getLogger("ocr.serving")

QUEUED, READING, DONE, CANCELLED = "queued", "reading", "done", "cancelled"


#: All jobs' files together may take up so many times what one may.
_SPACE = 10


class _Place(NamedTuple):
    """A page: the file's name, its position there, the `Document` or what is wrong with it."""

    name: str
    position: int
    document: Any


class Job:
    """Files that were sent together, and what has been read of them.

    Attributes
    ----------
    id : str
        Cannot be guessed.
    owner : str or None
        Name of the API key it was sent with; nobody else sees it.
    model, lines, alternatives :
        As for ``/recognition``.
    files : list of (str, str)
        Names and where the files are.
    size : int
        Bytes of the files.
    state : str
    pages : int or None
        Known once the files have been opened.
    events : list of dict
        In the order in which they happened. A page that was opened: ``at`` (from 0 through
        all files), ``image``, ``page`` (in a file of several, from 1), ``width``, ``height``
        and its ``lines``' outlines. A line that was read: ``at``, ``line`` (from 0) and
        ``reading``. A page that cannot be read: ``at``, ``image``, ``page``, ``error``.
    """

    def __init__(self, owner, model=None, lines="auto", alternatives=0):
        self.id, self.owner = secrets.token_urlsafe(16), owner
        self.files, self.size = [], 0
        self.model, self.lines, self.alternatives = model, lines, alternatives
        self.state, self.pages, self.events = QUEUED, None, []
        self.places, self.seen = [], time.monotonic()
        self._changed = asyncio.Event()

    def take(self, folder, files):
        """Copy (name, binary file) pairs into a new folder."""
        os.mkdir(folder)
        for number, (name, source) in enumerate(files):
            path = os.path.join(folder, str(number))
            with open(path, "wb") as out:
                shutil.copyfileobj(source, out)
                self.size += out.tell()
            self.files.append((name, path))

    @property
    def ended(self):
        """Whether nothing more will happen."""
        return self.state in (DONE, CANCELLED)

    def add(self, **event):
        """Tell what happened."""
        self.events.append(event)
        self._wake()

    def set(self, state):
        """Change the state, unless the job has ended."""
        if not self.ended:
            self.state = state
            self._wake()

    async def news(self, after, seconds):
        """Wait for more than `after` events, or for the end, for at most `seconds`."""
        end = time.monotonic() + seconds
        while len(self.events) <= after and not self.ended:
            rest = end - time.monotonic()
            if rest <= 0:
                break
            try:
                await asyncio.wait_for(self._changed.wait(), rest)
            except asyncio.TimeoutError:
                break
        self.seen = time.monotonic()
        return self.events[after:]

    def summary(self):
        """Return what a list of jobs says of it."""
        return {"id": self.id, "state": self.state, "files": [name for name, _ in self.files],
                "pages": self.pages,
                "lines": sum(len(e["lines"]) for e in self.events if "lines" in e),
                "lines_read": sum("line" in e for e in self.events)}

    def result(self):
        """Return the pages as far as they are read: as ``/recognition`` answers."""
        images = {}
        for event in self.events:
            page = images.setdefault(event["at"], {"lines": {}})
            if "line" in event:
                page["lines"][event["line"]] = event["reading"]
            else:
                page.update((k, v) for k, v in event.items() if k not in ("at", "lines"))
        images = [images[place] for place in sorted(images)]
        for page in images:
            page["lines"] = [page["lines"][i] for i in sorted(page["lines"])]
            if "error" not in page:
                page["text"] = "\n".join(line["text"] for line in page["lines"])
        return {**self.summary(), "images": images}

    def _wake(self):
        self._changed.set()
        self._changed = asyncio.Event()


class Jobs:
    """All jobs of a service.

    Parameters
    ----------
    service : ocr.serving.service.Service
    """

    def __init__(self, service):
        self._service, self._config = service, service.config
        self._jobs, self._tasks, self._queue, self._running = {}, [], None, {}
        self._folder = None

    def __len__(self):
        return len(self._jobs)

    def start(self):
        """Begin to read; called in the event loop."""
        self._queue = asyncio.Queue()
        self._tasks = [asyncio.ensure_future(self._serve()) for _ in range(self._config.jobs)]
        self._tasks.append(asyncio.ensure_future(self._forget()))

    def stop(self):
        """Cancel what is not done; called in the event loop."""
        for task in self._tasks:
            task.cancel()
        left = [job for job in self._jobs.values() if not job.ended]
        for job in left:
            job.set(CANCELLED)
        if left:
            log.warning("%d jobs were not done; they are lost", len(left))

    def close(self):
        """Remove all files."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def submit(self, owner, files, **options):
        """Queue a job.

        Parameters
        ----------
        owner : str or None
        files : list of (str, binary file)
            Names and contents; they are copied.
        **options
            As for `Job`.

        Returns
        -------
        Job

        Raises
        ------
        Busy
            As many wait as may, or their files take up too much.
        """
        self._make_room(0)
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="ocr-serve-")
        job = Job(owner, **options)
        folder = os.path.join(self._folder, job.id)
        try:
            await self._service.in_thread(job.take, folder, files)
            self._make_room(job.size)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._jobs[job.id] = job
        self._queue.put_nowait(job)
        return job

    def _make_room(self, size):
        """Let go of ended jobs, those not looked at for longest first, or raise `Busy`."""
        most = _SPACE * self._config.max_job_bytes
        while len(self._jobs) >= self._config.max_jobs \
                or sum(job.size for job in self._jobs.values()) + size > most:
            ended = [job for job in self._jobs.values() if job.ended]
            if not ended:
                raise Busy(f"{len(self._jobs)} jobs are waiting already; come back later", 30)
            self.remove(min(ended, key=lambda job: job.seen))

    def get(self, id, owner):
        """Return a job of this owner's; `NotFound` for any other."""
        job = self._jobs.get(id)
        if job is None or job.owner != owner:
            raise NotFound("no such job, or it is no longer kept")
        job.seen = time.monotonic()
        return job

    def of(self, owner):
        """Return this owner's jobs, the oldest first."""
        return [job for job in self._jobs.values() if job.owner == owner]

    def picture(self, job, page):
        """Return a page as JPEG, for the screen."""
        if not 0 <= page < len(job.places):
            raise NotFound("the job has no such page (yet)")
        place = job.places[page]
        if isinstance(place.document, OCRError):
            raise place.document
        return picture(place.document.image(place.position))

    # -- reading ------------------------------------------------------------------------------

    async def _serve(self):
        while True:
            job = await self._queue.get()
            if job.ended:
                continue
            job.set(READING)
            task = self._running[job.id] = asyncio.ensure_future(self._read(job))
            try:
                await asyncio.wait([task])
            finally:
                task.cancel()
                del self._running[job.id]
            if not task.cancelled() and task.exception():
                log.error("job %s failed", job.id, exc_info=task.exception())
                job.add(at=len(job.places), image=job.files[0][0], page=None,
                        error="a fault of the service; its log says more")
            job.set(CANCELLED if task.cancelled() else DONE)

    async def _read(self, job):
        service, config = self._service, self._config
        for name, path in job.files:
            try:
                document = await service.in_thread(Document, path, name, config.max_pixels)
                service.check_pages(len(job.places) + len(document), config.max_pages)
                job.places += [_Place(name, index, document) for index in range(len(document))]
            except OCRError as error:
                job.places.append(_Place(name, 0, error))
        job.pages = len(job.places)
        for at, place in enumerate(job.places):
            where = {"at": at, "image": place.name, "page": None}
            try:
                if isinstance(place.document, OCRError):
                    raise place.document
                where["page"] = place.document.number(place.position)
                # Each page takes the version that is served when its turn comes.
                with service.held(job.model) as (model, version):
                    await self._read_page(job, where, place, model, version)
            except OCRError as error:
                job.add(**where, error=str(error))

    async def _read_page(self, job, where, place, model, version):
        service = self._service
        opened = await service.in_thread(service.open_page, version.model, place.document,
                                         place.position, job.lines)
        service.check_count(len(opened.lines))
        job.add(**where, width=int(opened.size[0]), height=int(opened.size[1]),
                lines=[{"box": list(line.box), "polygon": [list(p) for p in line.polygon],
                        "baseline": [list(p) for p in line.baseline]} for line in opened.lines])
        # So many at once fill batches, and leave room in the queue for others.
        room, ready = asyncio.Semaphore(2 * self._config.max_batch), asyncio.Queue()

        async def run(at):
            try:
                async with room:
                    [logits] = await service.read_lines(model, version, opened.arrays[at:at + 1],
                                                        patient=True)
                ready.put_nowait((at, logits))
            except OCRError as error:
                ready.put_nowait((at, error))

        tasks = [asyncio.ensure_future(run(at)) for at in range(len(opened.lines))]
        try:
            left = len(tasks)
            while left:
                # Whatever has come meanwhile is decoded together, which is faster.
                found = [await ready.get()]
                while not ready.empty():
                    found.append(ready.get_nowait())
                left -= len(found)
                await self._decode(job, where, opened, found, version)
        finally:
            for task in tasks:
                task.cancel()

    async def _decode(self, job, where, opened, found, version):
        for _, logits in found:
            if isinstance(logits, OCRError):
                raise logits
        part = dataclasses.replace(opened, lines=[opened.lines[at] for at, _ in found])
        [reading] = await self._service.in_thread(
            version.model.finish, [part], [logits for _, logits in found], job.alternatives)
        for (at, _), value in zip(found, reading_to_dict(reading)["lines"]):
            job.add(at=where["at"], line=at, reading=value)

    # -- forgetting ---------------------------------------------------------------------------

    async def _forget(self):
        while True:
            await asyncio.sleep(min(60.0, max(self._config.keep / 4, 0.05)))
            old = time.monotonic() - self._config.keep
            for job in list(self._jobs.values()):
                if job.ended and job.seen < old:
                    self.remove(job)

    def remove(self, job):
        """Cancel a job, and forget it."""
        self._jobs.pop(job.id, None)
        job.set(CANCELLED)
        if job.id in self._running:
            self._running[job.id].cancel()
        shutil.rmtree(os.path.join(self._folder, job.id), ignore_errors=True)
