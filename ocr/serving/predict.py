"""The addresses of TensorFlow Serving."""

from lm.base.errors import OCRError

from . import schemas, tensors
from .errors import BadRequest, NotFound
from .uploads import body_of

__all__ = ["routes"]


def routes(service):
    """Return the router of ``/v1/models``."""
    from fastapi import APIRouter, Path, Request
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

    config, JSON, responses = service.config, schemas.json_response, schemas.responses
    router = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving"])
    Number = Path(ge=0, lt=2**63, description="Version")
    predict_options = {
        "openapi_extra": {"requestBody": schemas.PREDICT_BODY},
        "responses": {200: {"model": schemas.AnyPredictions}, **schemas.COMMON}}

    @router.get("", summary="Models that are served", responses=responses(schemas.Models))
    async def models():
        return JSON({"models": [{"name": model.name, "default": model is service.store.get(),
                                 "model_version_status": _states(model)}
                                for model in service.store]})

    @router.post("/{name}:predict", summary="Read with the newest version", **predict_options)
    async def predict_latest(request: Request, name: str):
        return await predict(request, name, None)

    @router.post("/{name}/versions/{version}:predict", summary="Read with one version",
                 **predict_options)
    async def predict_version(request: Request, name: str, version: int = Number):
        return await predict(request, name, version)

    @router.get("/{name}/versions/{version}:predict", include_in_schema=False)
    @router.get("/{name}:predict", include_in_schema=False)
    async def no_get():
        raise HTTPException(405, headers={"Allow": "POST"})

    async def predict(request, name, number):
        with service.held(name, number) as (model, version):
            return await service.until_cut(predict_with(request, model, version))

    async def predict_with(request, model, version):
        body = await body_of(request, config.upload_timeout)

        async def work():
            wanted = await service.in_thread(tensors.parse_predict, body, config.signature)
            service.check_count(len(wanted.values))
            outputs = await _outputs(service, model, version, wanted)
            schemas.note(request, model, version, len(wanted.values))
            return await service.in_thread(
                lambda: tensors.to_json(tensors.predictions(wanted, outputs)))

        answer = await service.while_wanted(work(), request.receive)
        return Response(answer, media_type="application/json")

    @router.get("/{name}/metadata", summary="Inputs and outputs",
                responses=responses(schemas.ModelMetadata, 404, 503))
    async def metadata(name: str):
        return describe(name, None)

    @router.get("/{name}/versions/{version}/metadata", summary="Inputs and outputs of one version",
                responses=responses(schemas.ModelMetadata, 400, 404, 503))
    async def metadata_version(name: str, version: int = Number):
        return describe(name, version)

    def describe(name, number):
        with service.held(name, number) as (_, version):
            network = version.model
            return JSON(tensors.metadata(name, version.number, network.height, network.width,
                                         network.classes))

    @router.get("/{name}/versions/{version}", summary="State of one version",
                responses=responses(schemas.ModelStatus, 400, 404))
    async def status_version(name: str, version: int = Number):
        return state_of(name, version)

    @router.get("/{name}", summary="State of a model's versions",
                responses=responses(schemas.ModelStatus, 404))
    async def status(name: str):
        return state_of(name, None)

    def state_of(name, number):
        model = service.store.get(name)
        states = _states(model, number) if model else []
        if not states:
            what = "any versions" if number is None else f"version {number}"
            raise NotFound(f"Could not find {what} of model {name}")
        return JSON({"model_version_status": states})

    return router


def _states(model, number=None):
    return [{"version": str(v.number), "state": v.state, "status": {
                "error_code": "UNKNOWN" if v.error else "OK", "error_message": v.error}}
            for v in model.versions() if number in (None, v.number)]


async def _outputs(service, model, version, wanted):
    network = version.model
    if wanted.signature == "text":
        return await _texts(service, model, version, wanted.values)
    if wanted.signature == "softmax":
        greys = await service.in_thread(tensors.grey_images, wanted.values,
                                        service.config.max_pixels)
        pages = [await service.in_thread(network.open_page, grey, "one") for grey in greys]
        arrays = [page.arrays[0] for page in pages]
    else:
        arrays = await service.in_thread(tensors.line_tensors, wanted.values, network.height,
                                         network.max_width, network.width)
    logits = await service.read_lines(model, version, arrays)
    if wanted.signature == "softmax":
        return {"probabilities": [tensors.softmax(one) for one in logits]}
    return {"logits": logits}


async def _texts(service, model, version, values):
    """Return text and confidence of each image; what is wrong with one costs no other."""
    found, files = {}, []
    for index, value in enumerate(values):
        name = f"line {index}"
        try:
            files.append((name, tensors.image_bytes(value)))
        except OCRError as error:
            found[name] = BadRequest(f"{name}: {error}")
    for name, _, page in await service.read_images(model, version, files, "one"):
        # Of an image with several frames, the first.
        found.setdefault(name, page)
    found = [found[f"line {index}"] for index in range(len(values))]
    if all(isinstance(one, OCRError) for one in found):
        raise found[0]
    lines = [one.lines[0] if not isinstance(one, OCRError) and one.lines else None
             for one in found]
    outputs = {"text": [line.text if line else "" for line in lines],
               "confidence": [round(line.confidence, 6) if line else 0.0 for line in lines]}
    errors = [str(one) if isinstance(one, OCRError) else "" for one in found]
    return {**outputs, "error": errors} if any(errors) else outputs
