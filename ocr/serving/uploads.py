"""Files in the body of a request: a multipart form, or one file as it is."""

import asyncio
import os
import tempfile
from contextlib import asynccontextmanager

from .errors import BadRequest, TooLarge, TooSlow
from .tensors import shown

__all__ = ["body_of", "uploads"]

#: More of a raw body goes to disk.
_IN_MEMORY = 2**20


async def body_of(request, seconds):
    """Return the body; `TooSlow` when it has not arrived within `seconds`."""
    return await _in_time(request.body(), seconds)


@asynccontextmanager
async def uploads(request, config, name=None, fields=()):
    """Read the files of a request.

    Parameters
    ----------
    request : starlette.requests.Request
        ``multipart/form-data`` with the field ``files``, or any other type: the body is the file.
    config : ServingConfig
    name : str, optional
        Of a body that is the file.
    fields : sequence of str
        Text fields that a form may have beside.

    Yields
    ------
    files : list of (str, binary file)
        Open while the context is.
    values : dict of str to str
        The text fields.

    Raises
    ------
    BadRequest, TooLarge, TooSlow
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        if fields:
            raise BadRequest("expected multipart/form-data")
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as out:
            await _in_time(_copy(request, out), config.upload_timeout)
            if not out.tell():
                raise BadRequest("the body is empty; expected an image, or multipart/form-data "
                                 "with the field 'files'")
            out.seek(0)
            yield [(_name(name, "image"), out)], {}
        return
    form = await _form(request, config, len(fields))
    try:
        for key in form:
            if key not in ("files", *fields):
                raise BadRequest(f"unknown field {shown(key)}; "
                                 f"known: {', '.join(('files', *fields))}")
        files, values = form.getlist("files"), {key: form.get(key) for key in fields}
        if any(isinstance(file, str) for file in files):
            raise BadRequest("the field 'files' must hold files, with a filename each")
        if not files and not fields:
            raise BadRequest("the field 'files' holds no file")
        if len(files) > config.max_files:
            raise TooLarge(f"{len(files)} files are more than the {config.max_files} allowed")
        for key, value in values.items():
            if value is not None and not isinstance(value, str):
                values[key] = (await value.read()).decode("utf-8", "replace")
        yield [(_name(file.filename, f"file {i}"), file.file)
               for i, file in enumerate(files)], values
    finally:
        await form.close()


async def _form(request, config, fields):
    from starlette.exceptions import HTTPException
    from starlette.formparsers import MultiPartException

    try:
        return await _in_time(request.form(
            max_files=config.max_files + fields + 1, max_fields=8,
            max_part_size=config.max_job_bytes), config.upload_timeout)
    except (MultiPartException, HTTPException) as error:
        message = getattr(error, "message", None) or getattr(error, "detail", "")
        if "Too many files" in message:
            raise TooLarge(f"more than the {config.max_files} files allowed") from None
        raise BadRequest(f"not a multipart form: {message}") from None
    except (UnicodeError, ValueError, KeyError, AssertionError) as error:
        raise BadRequest(f"not a multipart form ({type(error).__name__})") from None


async def _in_time(work, seconds):
    try:
        return await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        raise TooSlow(f"the body did not arrive within {seconds:g} seconds") from None


async def _copy(request, out):
    async for piece in request.stream():
        out.write(piece)


def _name(name, otherwise):
    """Return a file's name as it may stand in messages and logs."""
    name = os.path.basename((name or "").replace("\\", "/")) or otherwise
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)[-100:]
