"""Running the service with uvicorn: start, signals, orderly end."""

import asyncio
import logging
import sys

from lm.base.errors import ConfigError

__all__ = ["serve", "make_server"]

log = logging.getLogger("ocr.serving")

#: Seconds in which connections that are open at the end may still send a request.
_LAST_WORDS = 0.2


def make_server(app, service):
    """Return a uvicorn server for `app` whose signals end it in order.

    Parameters
    ----------
    app : ASGI application
        Of `create_app`.
    service : Service

    Returns
    -------
    uvicorn.Server
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            # Not before: from here on signals are heard and connections taken.
            for listener in sockets or ():
                host, port = listener.getsockname()[:2]
                log.info("serving %s on http://%s:%d", ", ".join(config.models),
                         f"[{host}]" if ":" in host else host, port)

        async def shutdown(self, sockets=None):
            # Connections that wait to be accepted would be reset, and those just accepted be
            # closed before they have said what they want.
            for _ in range(3):
                await asyncio.sleep(0)
            for listener in self.servers:
                listener.close()
            await asyncio.sleep(_LAST_WORDS)
            await super().shutdown(sockets)

        def handle_exit(self, number, frame):
            # uvicorn's own would raise the signal again at the end: no exit status 0.
            self.should_exit = True
            service.stop()

    config = service.config
    return Server(uvicorn.Config(
        app, host=config.host, port=config.port, access_log=False, log_config=None,
        lifespan="on", server_header=False, timeout_keep_alive=30,
        # Requests end by `Service.stop` before that.
        timeout_graceful_shutdown=int(config.drain) + 5))


def serve(config, open_model=None):
    """Serve until SIGTERM or SIGINT.

    Then no request is taken any more and those in flight are answered, for at most
    `config.drain` seconds; a second signal cuts them off.

    Parameters
    ----------
    config : ServingConfig
    open_model : callable, optional
        As for `Service`.

    Returns
    -------
    int
        Exit status: 0, or 1 when requests were lost at the end.

    Raises
    ------
    OCRError
        A model cannot be loaded, or the address is taken.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; the service needs "
                          "pip install 'ocr[serve]'") from None
    from .app import create_app
    from .service import Service

    logging.basicConfig(stream=sys.stderr, level=logging.INFO,
                        format="%(asctime)s %(levelname)s %(message)s")
    # Its start and end are told by our own lines.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    service = Service(config, open_model)
    try:
        service.load()
        server = make_server(create_app(service), service)
        server.run(sockets=[_bind(config)])
    finally:
        service.close()
    return 1 if service.lost else 0


def _bind(config):
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(f"cannot listen on {config.host}:{config.port} "
                          f"({error.strerror})") from None
    return listener
