"""The subcommands, one module each: ``add_arguments(parser)`` and ``run(arguments)``."""

#: name -> (module, one-line help)
COMMANDS = {name: (f"{__name__}.{module}", summary) for name, module, summary in (
    ("train", "train", "train a network"),
    ("evaluate", "evaluate", "score decoders on a split"),
    ("tune", "tune", "choose a decoder's settings on the validation split"),
    ("recognise", "recognise", "read line images"),
    ("summary", "summary", "tell a network layer by layer"),
    ("export", "export", "write a trained network as ONNX or as MXNet's symbol"),
    ("restore", "restore", "make an exported model a checkpoint again, to train it on"),
    ("serve", "serve", "serve models over HTTP, with a page"),
    ("denoise-data", "denoise_data", "write pairs of truth and reading"),
    ("denoise-train", "denoise_train", "train a denoiser on such pairs"),
    ("denoise-evaluate", "denoise_evaluate", "score readings before and after a denoiser"),
    ("synth", "synth", "write synthetic handwriting as an IAM folder"),
    ("average", "average", "average the weights of several trainings"),
    ("recombine", "recombine", "write new lines out of the ink of real ones"),
    ("pack", "pack", "write an experiment's lines into one HDF5 file"),
    ("transcripts", "transcripts", "write the transcripts of a split, one a line"),
    ("settings", "settings", "tell all settings, their defaults and what they mean"),
    ("list", "listing", "list recipes, models, decoders, data sources and alphabets"),
)}

ALIASES = {"recognize": "recognise"}
