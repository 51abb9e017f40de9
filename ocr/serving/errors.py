"""What the service answers when it cannot do what it was asked: a status and one line."""

from lm.base.errors import OCRError

__all__ = ["ServiceError", "BadRequest", "Unauthorised", "NotFound", "TooLarge", "TooSlow",
           "Busy", "Unavailable", "OutOfTime", "Disconnected"]


class ServiceError(OCRError):
    """Base: `status` is HTTP's, the message is sent as ``{"error": message}``."""

    status = 500

    def __init__(self, message, headers=None):
        super().__init__(message)
        self.headers = dict(headers or {})


class BadRequest(ServiceError):
    """The request cannot be understood."""

    status = 400


class Unauthorised(ServiceError):
    """No API key, or not a known one."""

    status = 401

    def __init__(self, message):
        super().__init__(message, {"WWW-Authenticate": "Bearer"})


class NotFound(ServiceError):
    """No such model or version."""

    status = 404


class TooSlow(ServiceError):
    """The request's body did not arrive in time."""

    status = 408


class TooLarge(ServiceError):
    """More bytes, pixels or lines than are allowed."""

    status = 413


class Busy(ServiceError):
    """The queue is full; ``Retry-After`` says when to come back."""

    status = 429

    def __init__(self, message, seconds=1):
        super().__init__(message, {"Retry-After": str(seconds)})


class Unavailable(ServiceError):
    """The model is not loaded (yet), or the service is stopping."""

    status = 503

    def __init__(self, message, seconds=1):
        super().__init__(message, {"Retry-After": str(seconds)})


class OutOfTime(ServiceError):
    """The answer was not ready in time; its work is dropped."""

    status = 504


class Disconnected(ServiceError):
    """The client went away; nobody reads the answer (logged as 499, as nginx does)."""

    status = 499
