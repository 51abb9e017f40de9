"""Text-line recognition with MXNet Gluon: data, networks, training, decoding, scoring.

What is offered here stands in ``__init__.pyi``; each name is imported when it is first used.
"""

import lazy_loader

from lm.base.version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
