"""Lines per second and peak memory of reading and of training steps: MXNet, ONNX, PyTorch.

    python experiments/benchmarks/speed.py [--model small | --checkpoint runs/x/best.ckpt] \\
        [--onnx int8=model.onnx ...] [--threads 2] [--batch-size 8] [--rounds 5] [--no-training]

All run the same network with the same weights on the same batches: "box", lines of one width
(60x800 by default, the height being the model's), and "mixed", lines of widths as on written
pages, bucketed as when reading. PyTorch takes part where it is installed, with its own packed
LSTMs. Each system lives in a process of its own, whose peak memory is shown; rounds go around
the systems, so that other load on the machine meets all of them, and the best round counts.
CPU seconds beside it hardly depend on other load. A training step is forward, CTC loss,
backward and Adam, on boxes. "gap" is the largest difference of logits from MXNet's.

Further ONNX files of the same network, with 8-bit weights perhaps, are named by --onnx.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time

import numpy as np

#: Characters of each line that training steps learn.
LABELS = 40
#: Boxes and training steps timed at a time.
STEPS = 4


def batches(height, stride, size, width, count=6):
    """Return {"box": [(images, widths)], "mixed": [...]}."""
    rng = np.random.default_rng(0)

    def batch(widths):
        step = stride if stride == width else np.lcm(stride, 64)
        total = int(-(-max(widths) // step) * step)
        images = np.zeros((len(widths), 1, height, total), np.float32)
        for image, used in zip(images, widths):
            image[0, :, :used] = rng.uniform(0, 1, (height, used))
        return images, np.array(widths, np.float32)

    spread = np.clip(rng.lognormal(np.log(0.9 * width), 0.35, size * count), 64, 3 * width)
    if stride == width:
        # The network reads this one width.
        spread = np.minimum(spread, width)
    spread = np.sort(spread.astype(int))
    return {"box": [batch([width] * size)] * STEPS,
            "mixed": [batch(spread[i:i + size]) for i in range(0, len(spread), size)]}


class MXNet:
    """Our networks as trained."""

    def __init__(self, folder, name, options, classes, threads):
        from ocr.base.backend import gluon, mx, nd
        from ocr.models import get_model
        from ocr.models.weights import load_weights

        self.nd, self.autograd = nd, mx.autograd
        self.net = get_model(name, classes, **options)
        self.net.initialize()
        with np.load(os.path.join(folder, "weights.npz")) as weights:
            load_weights(self.net, dict(weights))
        self.net.hybridize(static_alloc=True)
        self.loss = gluon.loss.CTCLoss(layout="NTC", label_layout="NT")
        self.trainer = gluon.Trainer(self.net.collect_params(), "adam", {"learning_rate": 1e-4})

    def read(self, images, widths):
        logits, frames = self.net(self.nd.array(images), self.nd.array(widths))[:2]
        return logits.asnumpy(), frames.asnumpy()

    def train(self, images, widths, labels):
        with self.autograd.record():
            logits, frames = self.net(self.nd.array(images), self.nd.array(widths))[:2]
            lengths = self.nd.full((len(labels),), labels.shape[1])
            loss = self.loss(logits, self.nd.array(labels), frames, lengths)
        loss.backward()
        self.trainer.step(len(labels))
        # The loss alone would be there before the gradients.
        self.nd.waitall()


class ONNX:
    """An exported file in onnxruntime."""

    train = None

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = onnxruntime.InferenceSession(path, options,
                                                    providers=["CPUExecutionProvider"])

    def read(self, images, widths):
        return self.session.run(("logits", "frames"), {"images": images, "widths": widths})


class PyTorch:
    """A `CNNBiLSTM` of the same shape and weights in PyTorch."""

    def __init__(self, folder, config, classes, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.net = torch_network(torch, config, classes)
        with np.load(os.path.join(folder, "weights.npz")) as weights:
            self.net.load_state_dict(torch_weights(torch, weights, self.net.state_dict()))
        self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-4)

    def read(self, images, widths):
        self.net.eval()
        with self.torch.inference_mode():
            logits, frames = self.net(*map(self.torch.from_numpy, (images, widths)))
        return logits.numpy(), frames.numpy()

    def train(self, images, widths, labels):
        torch = self.torch
        self.net.train()
        logits, frames = self.net(*map(torch.from_numpy, (images, widths)))
        lengths = torch.full((len(labels),), labels.shape[1])
        loss = torch.nn.functional.ctc_loss(
            logits.transpose(0, 1).log_softmax(2), torch.from_numpy(labels).long(),
            frames.long(), lengths, blank=logits.shape[2] - 1)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        loss.item()


def torch_network(torch, config, classes):
    """Return `ocr.models.CNNBiLSTM` (without shortcut and reshape) as a torch module."""
    import math

    nn, F = torch.nn, torch.nn.functional

    def mask(x, frames):
        return (torch.arange(x.shape[3]) < frames[:, None]).to(x.dtype)[:, None, None]

    class Residual(nn.Module):
        def __init__(self, before, channels):
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, padding=1, bias=False)
            self.norm1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(channels)
            self.project = (nn.Conv2d(before, channels, 1, bias=False)
                            if before != channels else nn.Identity())

        def forward(self, x, m):
            y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))) * m))
            return F.relu(self.project(x) + y) * m

    class Scale(nn.Module):
        def __init__(self, before, channels, convs, blocks, columns):
            super().__init__()
            self.pool = (2, columns)
            sizes = [before] + [channels] * (convs + blocks)
            self.convs = nn.ModuleList(nn.Conv2d(a, channels, 3, padding=1)
                                       for a in sizes[:convs])
            self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(convs))
            self.blocks = nn.ModuleList(Residual(a, channels)
                                        for a in sizes[convs:convs + blocks])

        def forward(self, x, fine, coarse):
            m = mask(x, fine)
            for conv, norm in zip(self.convs, self.norms):
                x = F.relu(norm(conv(x))) * m
            x = F.max_pool2d(x, self.pool)
            m = mask(x, coarse)
            for block in self.blocks:
                x = block(x, m)
            return x

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            # What settings leave open are ResNet34's.
            channels = config.body_channels or 64
            self.stem = nn.Conv2d(1, channels, 7, 2, 3, bias=False)
            self.stem_norm = nn.BatchNorm2d(channels)
            self.body = nn.ModuleList(Residual(channels, channels)
                                      for _ in range(config.body_blocks or 3))
            self.downsamplers, self.encoders = nn.ModuleList(), nn.ModuleList()
            height = math.ceil(math.ceil(config.height / 2) / 2)
            for scale, hidden in enumerate(config.hidden):
                if scale:
                    wide = config.scale_channels[scale - 1]
                    convs, blocks = config.downsampler_convs, config.scale_blocks[scale - 1]
                    self.downsamplers.append(Scale(channels, wide, convs, blocks,
                                                   config.pooling[scale - 1]))
                    channels = wide if convs or blocks else channels
                    height //= 2
                size = channels * config.fold(scale) * (1 if config.columns == "max" else height)
                self.encoders.append(nn.ModuleList(
                    nn.LSTM(size if i == 0 else 2 * hidden, hidden, bidirectional=True)
                    for i in range(config.layers)))
            self.output = nn.Linear(2 * sum(config.hidden), classes)

        def forward(self, x, widths):
            drop = config.dropout if self.training else 0.0
            frames = torch.ceil(widths / config.stride)
            fine = frames * (config.stride // 4)
            x = F.max_pool2d(F.relu(self.stem_norm(self.stem(x))), 3, 2, 1)
            m = mask(x, fine)
            x = x * m
            for block in self.body:
                x = block(x, m)
            states = []
            for scale, layers in enumerate(self.encoders):
                if scale:
                    coarse = torch.floor(fine / config.pooling[scale - 1])
                    x = self.downsamplers[scale - 1](x, fine, coarse)
                    fine = coarse
                y = x.amax(2, keepdim=True) if config.columns == "max" else x
                y = y.permute(3, 0, 1, 2).flatten(2)
                fold = config.fold(scale)
                if fold > 1:
                    y = y.unflatten(0, (-1, fold)).transpose(1, 2).flatten(2)
                total = y.shape[0]
                packed = nn.utils.rnn.pack_padded_sequence(y, frames.int(), enforce_sorted=False)
                for i, layer in enumerate(layers):
                    if i and drop:
                        packed = packed._replace(data=F.dropout(packed.data, drop))
                    packed = layer(packed)[0]
                states.append(nn.utils.rnn.pad_packed_sequence(packed, total_length=total)[0])
            return self.output(F.dropout(torch.cat(states, 2), drop)).transpose(0, 1), frames

    return Network()


def torch_weights(torch, weights, state):
    """Rename a `CNNBiLSTM`'s weights; both count LSTM gates in the same order."""
    names = {"gamma": "weight", "beta": "bias"}
    gates = {f"{side}._unfused.0.{kind}_{what}": f"{what}_{short}_l0{suffix}"
             for side, suffix in (("ahead", ""), ("back", "_reverse"))
             for kind, short in (("i2h", "ih"), ("h2h", "hh")) for what in ("weight", "bias")}
    found = {}
    for name, value in weights.items():
        head, _, last = name.rpartition(".")
        for ours, theirs in gates.items():
            if name.endswith("." + ours):
                head, last = name[:-len(ours) - 1], theirs
        found[f"{head}.{names.get(last, last)}"] = torch.from_numpy(value)
    return {**{k: v for k, v in state.items() if k.endswith("num_batches_tracked")}, **found}


def worker(pipe, kind, arguments, data, labels):
    """Build a system, then time what is asked for until told to stop."""
    try:
        system = {"mxnet": MXNet, "onnx": ONNX, "torch": PyTorch}[kind](*arguments)
        pipe.send([system.read(*batch) for batch in data["mixed"][:2]])
        while (task := pipe.recv()) is not None:
            todo = ([(system.train, (*batch, labels)) for batch in data["box"]]
                    if task == "training" else [(system.read, batch) for batch in data[task]])
            # Once untimed: another system has had the caches since the last time.
            todo[0][0](*todo[0][1])
            wall, cpu = time.perf_counter(), time.process_time()
            for call, values in todo:
                call(*values)
            pipe.send((time.perf_counter() - wall, time.process_time() - cpu))
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    except EOFError:
        # The parent gave up.
        return
    except Exception as error:  # noqa: BLE001 - told by the parent
        pipe.send(error)


class Process:
    """A system in a process of its own."""

    def __init__(self, name, *arguments, trains=True):
        context = multiprocessing.get_context("spawn")
        self.name, self.trains, self.times = name, trains, {}
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=worker, args=(far, *arguments), daemon=True)
        self.process.start()
        self.sample = self.receive()

    def receive(self):
        value = self.pipe.recv()
        if isinstance(value, Exception):
            raise SystemExit(f"{self.name}: {value}")
        return value

    def time(self, task):
        self.pipe.send(task)
        self.times.setdefault(task, []).append(self.receive())

    def finish(self):
        """Stop; returns the peak memory in MB."""
        self.pipe.send(None)
        memory = self.receive()
        self.process.join()
        return memory


def prepare(folder, arguments):
    """Write weights and ONNX file; returns (name, options, config, classes, stride)."""
    from ocr.export import convert
    from ocr.models import get_model
    from ocr.models.weights import load_weights, weights_of
    from ocr.recognition.network import Recogniser

    name, options, classes, weights = arguments.model, {}, 80, None
    if arguments.checkpoint:
        recogniser = Recogniser(arguments.checkpoint, "cpu")
        model = recogniser.config.model
        name, classes = model.name, recogniser.alphabet.num_classes
        options = {"height": recogniser.config.preprocess.height, **model.options}
        weights = {key: value for key, value in weights_of(recogniser.net).items()
                   if not key.startswith("short.")}
    net = get_model(name, classes, **options)
    if getattr(net.config, "shortcut", False):
        # A branch for training alone.
        options["shortcut"] = False
        net = get_model(name, classes, **options)
    net.initialize()
    if weights:
        load_weights(net, weights)
    np.savez(os.path.join(folder, "weights.npz"), **weights_of(net))
    with open(os.path.join(folder, "float32.onnx"), "wb") as out:
        out.write(convert(net).SerializeToString())
    return name, options, net.config, net.num_classes, net.stride


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="small", help="with random weights")
    parser.add_argument("--checkpoint")
    parser.add_argument("--onnx", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--width", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-training", action="store_true")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        # In a process that ends: what the export takes is no part of the figures.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            name, options, config, classes, stride = pool.apply(prepare, (folder, arguments))
        data = batches(config.height, stride, arguments.batch_size, arguments.width)
        labels = np.random.default_rng(1).integers(
            0, classes - 1, (arguments.batch_size, LABELS)).astype(np.float32)
        shared, threads = (data, labels), arguments.threads
        systems = [Process("mxnet", "mxnet", (folder, name, options, classes, threads), *shared),
                   Process("onnx", "onnx", (os.path.join(folder, "float32.onnx"), threads),
                           *shared, trains=False)]
        for pair in arguments.onnx:
            label, _, path = pair.partition("=")
            systems.append(Process(f"onnx {label}", "onnx", (path, threads), *shared,
                                   trains=False))
        try:
            import torch  # noqa: F401
        except ImportError:
            print("PyTorch is not installed")
        else:
            if getattr(config, "columns", "reshape") == "reshape":
                print(f"no counterpart of {name} in PyTorch here")
            else:
                systems.append(Process("torch", "torch", (folder, config, classes, threads),
                                       *shared))
        tasks = ["box", "mixed"] + ["training"] * (not arguments.no_training)
        for task in tasks:
            # One round more, to warm up.
            for _ in range(arguments.rounds + 1):
                for system in systems:
                    if task != "training" or system.trains:
                        system.time(task)
        print(f"{name}, {classes} classes, batch {arguments.batch_size}, {threads} thread(s), "
              f"{config.height}x{arguments.width}")
        show(systems, tasks, data)


def show(systems, tasks, data):
    """Print the table."""
    print(f"{'':18}" + "".join(f"{task:>27}" for task in tasks) + f"{'peak':>9}{'gap':>10}")
    print(f"{'':18}" + f"{'lines/s (a CPU s)  x MXNet':>27}" * len(tasks) + f"{'MB':>9}")
    best = {}
    for system in systems:
        row = f"{system.name:18}"
        for task in tasks:
            lines = sum(len(widths) for _, widths in data["box" if task == "training" else task])
            if task not in system.times:
                row += f"{'-':>27}"
                continue
            wall, cpu = (lines / min(times) for times in zip(*system.times[task][1:]))
            first = best.setdefault(task, wall)
            row += f"{wall:12.1f} ({cpu:6.1f}){wall / first:7.2f}"
        gap = max(np.abs(ours[i, :int(n)] - theirs[i, :int(n)]).max()
                  for (ours, _), (theirs, frames) in zip(system.sample, systems[0].sample)
                  for i, n in enumerate(frames))
        print(f"{row}{system.finish():9.0f}{gap:10.1e}")


if __name__ == "__main__":
    main()
