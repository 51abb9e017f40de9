"""Settings of the service, and the command that takes them."""

import dataclasses

import pytest

from lm.base.command import make_parser
from lm.base.errors import ConfigError, MissingDataError
from ocr.cli.commands import serve
from ocr.cli.main import main
from ocr.serving.config import ServingConfig


def parse(*arguments):
    return serve.serving_config(make_parser("ocr", "serve", serve.__name__).parse(arguments))


def test_every_setting_is_an_option_that_the_help_explains():
    parser = make_parser("ocr", "serve", serve.__name__)
    names = {f.name for f in dataclasses.fields(ServingConfig)} - {"models"}
    assert names <= set(parser.options())
    settings = parser.format_help().partition("\nsettings (")[2].splitlines()
    for name in names:
        at = next(i for i, line in enumerate(settings) if line.startswith(f"{name} = "))
        assert settings[at + 1].startswith("    "), name


def test_models_are_called_as_they_are(tmp_path):
    (tmp_path / "half.onnx").write_bytes(b"")
    assert parse("--model", str(tmp_path / "half.onnx")).models == {
        "half": str(tmp_path / "half.onnx")}
    shipped = parse().models
    assert list(shipped)[0] == "french" and all(
        path.endswith(f"{name}.onnx") for name, path in shipped.items())
    assert parse("--model", "french").models == {"french": shipped["french"]}


def test_options_go_before_the_file(tmp_path):
    file = tmp_path / "serve.yaml"
    file.write_text("models: {a: x.onnx}\nport: 9000\nmax_batch: 4\ncors: [https://a.org]\n")
    config = parse("--config", str(file), "--port", "0", "--batch-wait-ms", "7.5")
    assert config == ServingConfig(models={"a": "x.onnx"}, port=0, max_batch=4,
                                   batch_wait_ms=7.5, cors=("https://a.org",))
    config = parse("--config", str(file), "--model", "b=y=z", "--model", "c=d", "--cors", "*")
    assert config.models == {"b": "y=z", "c": "d"} and config.cors == ("*",)
    with pytest.raises(ConfigError, match="name stands twice"):
        parse("--model", "a=b", "--model", "a=c")


@pytest.mark.parametrize("setting, message", [
    ({"models": {"a b": "x"}}, "no model name"), ({"models": {"a/b": "x"}}, "no model name"),
    ({"models": {"a:predict": "x"}}, "no model name"), ({"models": {"a": 3}}, "not a string"),
    ({"port": 70000}, "port"), ({"max_batch": 0}, "max_batch must be at least 1"),
    ({"timeout": 0}, "timeout must be above 0"), ({"timeout": float("nan")}, "timeout"),
    ({"drain": -1}, "drain must be at least 0"), ({"queue": "many"}, "serving.queue"),
    ({"cors": ["example.org"]}, "no origin"), ({"workerz": 1}, "unknown setting 'serving.workerz'"),
    ({"max_pixels": 10**9}, "at most 178000000")])
def test_wrong_settings(setting, message):
    with pytest.raises(ConfigError, match=message):
        ServingConfig.from_dict(setting)


def test_the_command_tells_in_one_line_what_is_wrong(tmp_path, capsys, monkeypatch):
    assert main(["serve", "--model", f"a={tmp_path / 'none'}"]) == 2
    assert capsys.readouterr().err.endswith(f"{tmp_path / 'none'}: no such model\n")
    (tmp_path / "x.onnx").write_bytes(b"")
    assert main(["serve", "--model", f"a={tmp_path / 'x.onnx'}"]) == 2
    assert "x.onnx" in capsys.readouterr().err
    assert main(["serve", "--model", "nothing"]) == 2 and "shipped: " in capsys.readouterr().err
    assert main(["serve", "--model", "a="]) == 2 and "NAME=PATH" in capsys.readouterr().err

    def none():
        raise MissingDataError("no trained model comes with this installation")

    monkeypatch.setattr("ocr.checkpoints.shipped.default_model", none)
    assert main(["serve"]) == 2 and "no trained model" in capsys.readouterr().err


def test_an_address_that_is_taken_is_one_line(tmp_path, running, capsys):
    from ocr.serving import serve as run_service

    from .fakes import open_served_bars

    client, service = running()
    config = dataclasses.replace(service.config, port=client.port)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{client.port}"):
        run_service(config, open_served_bars)
