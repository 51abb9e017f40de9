"""The addresses for images and documents: read at once, as jobs, and written out."""

from typing import Literal, Optional

from lm.base.errors import OCRError

from ..formats import reading_to_dict
from . import export, schemas, tensors
from .documents import Document
from .errors import BadRequest
from .uploads import uploads

__all__ = ["routes", "MOST_ALTERNATIVES"]

MOST_ALTERNATIVES = 10
#: Seconds that a request for news may wait.
_MOST_WAIT = 30


def routes(service):
    """Return the router of ``/recognition``, ``/jobs`` and ``/export``."""
    from fastapi import APIRouter, Query, Request
    from starlette.responses import Response

    formats = export.format_names()
    config, JSON, responses = service.config, schemas.json_response, schemas.responses
    router = APIRouter()
    Lines = Query("auto", description="one: each image is a line; find: it is a page, whose lines "
                                      "are found; auto: as the image looks")
    Alternatives = Query(0, ge=0, le=MOST_ALTERNATIVES,
                         description="Other readings of each line, at most")
    Model = Query(None, description="The first one by default")
    Name = Query(None, description="Of a file that is the body itself")

    @router.post("/recognition", summary="Read images", tags=["Images"],
                 openapi_extra={"requestBody": schemas.FILES_BODY},
                 responses={200: {"model": schemas.Recognition,
                                  "content": schemas.FILE_CONTENT,
                                  "description": "Readings; a file when `format` asks for it"},
                            **schemas.COMMON})
    async def recognition(
            request: Request, lines: Literal["auto", "one", "find"] = Lines,
            alternatives: int = Alternatives,
            format: Literal[tuple(formats)] = Query(
                "json", description="Another than json: a file, if all pages could be read"),
            model: Optional[str] = Model,
            version: Optional[int] = Query(None, ge=0, lt=2**63), name: Optional[str] = Name):
        with service.held(model, version) as (served, one):
            return await service.until_cut(
                recognise(request, served, one, lines, alternatives, format, name))

    async def recognise(request, model, version, lines, alternatives, format, name):
        async with uploads(request, config, name) as (sent, _):
            files = [(name, file.read()) for name, file in sent]

        async def work():
            pages = await service.read_images(model, version, files, lines, alternatives)
            if all(isinstance(page, OCRError) for *_, page in pages):
                raise pages[0][2]
            schemas.note(request, model, version, sum(
                len(page.lines) for *_, page in pages if not isinstance(page, OCRError)))
            if format == "json":
                return await service.in_thread(lambda: tensors.to_json(
                    {"model": model.name, "version": version.number,
                     "images": [_page(*one) for one in pages]})), ".json"
            for *_, page in pages:
                if isinstance(page, OCRError):
                    raise page
            return await service.in_thread(export.write, [page for *_, page in pages], format)

        answer, ending = await service.while_wanted(work(), request.receive)
        return Response(answer, media_type=export.TYPES.get(ending))

    # -- jobs ---------------------------------------------------------------------------------

    def owner(request):
        return request.scope["ocr"].get("key")

    @router.post("/jobs", status_code=202, summary="Read documents in the background",
                 tags=["Jobs"], openapi_extra={"requestBody": schemas.FILES_BODY},
                 responses={202: {"model": schemas.Job}, **schemas.COMMON})
    async def submit(
            request: Request, lines: Literal["auto", "one", "find"] = Lines,
            alternatives: int = Alternatives, model: Optional[str] = Model,
            name: Optional[str] = Name):
        with service.held(model):
            pass
        async with uploads(request, config, name) as (files, _):
            job = await service.jobs.submit(owner(request), files, model=model, lines=lines,
                                            alternatives=alternatives)
        return JSON(job.summary(), 202, {"Location": f"/jobs/{job.id}"})

    @router.get("/jobs", summary="All jobs (of this key)", tags=["Jobs"],
                responses=responses(schemas.JobList))
    async def jobs(request: Request):
        return JSON({"jobs": [job.summary() for job in service.jobs.of(owner(request))]})

    @router.get("/jobs/{id}", summary="A job's readings, as far as they are", tags=["Jobs"],
                responses=responses(schemas.JobResult, 404))
    async def job(request: Request, id: str):
        return JSON(service.jobs.get(id, owner(request)).result())

    @router.get("/jobs/{id}/events", summary="What happened in a job since", tags=["Jobs"],
                responses=responses(schemas.News, 404))
    async def news(request: Request, id: str,
                   after: int = Query(0, ge=0, lt=2**31, description="Events known already"),
                   wait: float = Query(0, ge=0, le=_MOST_WAIT,
                                       description="Seconds to wait for the next")):
        one = service.jobs.get(id, owner(request))
        events = await one.news(after, wait)
        return JSON({**one.summary(), "events": events, "next": after + len(events)})

    @router.get("/jobs/{id}/pages/{page}/image", summary="A page as JPEG, for the screen",
                tags=["Jobs"], response_class=Response,
                responses={200: {"content": {"image/jpeg": {}}},
                           **{code: schemas.COMMON[code] for code in (400, 401, 404, 413, 500)}})
    async def image(request: Request, id: str, page: int):
        one = service.jobs.get(id, owner(request))
        return Response(await service.in_thread(service.jobs.picture, one, page),
                        media_type="image/jpeg")

    @router.delete("/jobs/{id}", summary="Cancel and forget a job", tags=["Jobs"],
                   responses=responses(schemas.Health, 404))
    async def remove(request: Request, id: str):
        service.jobs.remove(service.jobs.get(id, owner(request)))
        return JSON({"status": "removed"})

    # -- writing out --------------------------------------------------------------------------

    @router.post("/export", summary="Write readings out, corrected ones too", tags=["Images"],
                 openapi_extra={"requestBody": schemas.EXPORT_BODY}, response_class=Response,
                 responses={200: schemas.EXPORT_ANSWER, **schemas.COMMON})
    async def write(request: Request, format: Literal[(*formats, export.TABLE)] = Query(
            "text", description="table: a ZIP of line images and their texts to train on; it and "
                                "pdf take the pages' images as `files`, in order")):
        async with uploads(request, config, fields=("pages",)) as (files, values):
            if not values["pages"]:
                raise BadRequest("the field 'pages' is missing")

            def work():
                pages = export.parse_pages(values["pages"])
                readings = list(map(export.edited_reading, pages, sources(pages)))
                if format == export.TABLE:
                    return export.training_table(readings)
                return export.write(readings, format)

            def sources(pages):
                documents = {}
                for place, page in enumerate(pages):
                    at = place if page.file is None else page.file
                    if at >= len(files):
                        yield None
                        continue
                    if at not in documents:
                        name, file = files[at]
                        documents[at] = Document(file.read(), name, config.max_pixels)
                    if (page.page or 1) > len(documents[at]):
                        raise BadRequest(f"{documents[at].name}: has no page {page.page}")
                    yield documents[at].sources[(page.page or 1) - 1]

            content, ending = await service.until_cut(service.in_thread(work))
        return Response(content, media_type=export.TYPES.get(ending), headers={
            "Content-Disposition": f'attachment; filename="ocr{ending}"'})

    return router


def _page(name, number, page):
    """Return what stands for a page in the answer of ``/recognition``."""
    if isinstance(page, OCRError):
        return {"image": name, "page": number, "error": str(page)}
    return reading_to_dict(page)
