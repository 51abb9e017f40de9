import dataclasses
from dataclasses import dataclass

import pytest

from lm.base.errors import ConfigError, UnknownNameError
from lm.base.plugins import NoSettings, Plugin, Registry, Stage, missing_packages
from lm.base.settings import describe


@dataclass(frozen=True)
class Size:
    """How large.

    Attributes
    ----------
    width, height : int
        Pixels,
        not inches.
    share : float or None
        0 to 1.
    """

    width: int
    height: int = 3
    share: float = 0.5


@dataclass(frozen=True)
class NamedSize(Size):
    """And called what.

    Attributes
    ----------
    title : str
        Its name.
    """

    title: str = ""


def registry():
    sizes = Registry("size")

    @sizes.register("plain")
    class Plain(Plugin):
        config_class = Size

    sizes.register("bare")(type("Bare", (Plugin,), {}))
    return sizes


def test_settings_are_described_by_their_docstrings():
    told = {s.name: s for s in describe(NamedSize)}
    assert told["width"] == ("width", "int", dataclasses.MISSING, "Pixels, not inches.")
    assert told["height"] == ("height", "int", 3, "Pixels, not inches.")
    assert told["share"].type == "float" and told["title"].meaning == "Its name."
    assert describe(NoSettings) == []


def test_stages():
    sizes = registry()
    stage = sizes.stage("plain", {"width": 5}, share=0.25)
    assert stage == Stage("plain", Size(5, share=0.25))
    assert sizes.stage(stage, height=9).settings == Size(5, 9, 0.25)
    assert sizes.stage("plain", Size(7)).settings.width == 7
    assert sizes.stage("bare") == Stage("bare", NoSettings())
    assert sizes.from_dict({"name": "plain", "settings": {"width": 2}}).settings == Size(2)
    assert sizes.from_dict("bare").settings == NoSettings()
    for call, message in (
            (lambda: sizes.stage("plain", {"w": 5}), "unknown setting 'plain.w'"),
            (lambda: sizes.stage("bare", Size(5)), r"settings of another size \(Size\)"),
            (lambda: sizes.from_dict({"name": "plain", "width": 2}), "unknown key 'width'"),
            (lambda: sizes.from_dict({}), "needs a name")):
        with pytest.raises(ConfigError, match=message):
            call()
    with pytest.raises(UnknownNameError, match="unknown size 'planed'; known: bare, plain"):
        sizes.stage("planed")


def test_missing_packages():
    assert missing_packages(["numpy", "nowhere1|numpy"]) == ""
    assert missing_packages(["nowhere1", "nowhere1|nowhere2"]) == "nowhere1, nowhere1 or nowhere2"
