"""What Prometheus is told."""

__all__ = ["Metrics"]

#: Bounds in seconds.
LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one service, in a registry of their own.

    Attributes
    ----------
    requests, errors, lines, lost, load_failures : prometheus_client.Counter
    latency, batch_lines, batch_seconds : prometheus_client.Histogram
    queue, in_work, version : prometheus_client.Gauge
    """

    def __init__(self):
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            PlatformCollector,
            ProcessCollector,
        )

        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter("ocr_requests", "Requests answered.", ("route", "status"),
                                registry=registry)
        self.latency = Histogram("ocr_request_seconds", "Time from a request's first byte to its "
                                 "answer.", ("route",), buckets=LATENCIES, registry=registry)
        self.errors = Counter("ocr_errors", "Requests that failed, by the kind of error.",
                              ("kind",), registry=registry)
        self.lines = Counter("ocr_lines", "Lines read.", ("model", "version"), registry=registry)
        self.queue = Gauge("ocr_queue_lines", "Lines that wait for a network.", ("model",),
                           registry=registry)
        self.in_work = Gauge("ocr_requests_in_work", "Requests begun and not answered.",
                             registry=registry)
        self.batch_lines = Histogram("ocr_batch_lines", "Lines of one run of a network.",
                                     ("model",), buckets=BATCHES, registry=registry)
        self.batch_seconds = Histogram("ocr_batch_seconds", "Time of one run of a network.",
                                       ("model",), buckets=LATENCIES, registry=registry)
        self.version = Gauge("ocr_model_version", "Version that is served.", ("model",),
                             registry=registry)
        self.load_failures = Counter("ocr_model_load_failures", "Versions that could not be "
                                     "loaded.", ("model",), registry=registry)
        self.lost = Counter("ocr_requests_lost", "Requests that were cut off at the end.",
                            registry=registry)

    def exposition(self):
        """Return (bytes, content type) in Prometheus' text format."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST
