"""Small networks in the formats of PyTorch and OpenVINO, made here: no download is needed."""

import io
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

WIDTH = 2
STAGES = ((3, 4), (4, 6), (5, 2))


class Storage:
    """The numbers of one tensor, as the pickle refers to them."""

    def __init__(self, key, values):
        self.key, self.values = key, values


def torch_names():
    """Return stand-ins for the names of torch that a state dict holds."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}


class Writer(pickle.Pickler):
    """Writes arrays as torch.save did until version 1.5."""

    def __init__(self, file, names):
        super().__init__(file, 2)
        self._names, self.storages = names, {}

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages[value.key] = value.values
        kind = "FloatStorage" if value.values.dtype == np.float32 else "LongStorage"
        return ("storage", getattr(self._names["torch"], kind), value.key, "cpu", value.values.size, None)

    def reducer_override(self, value):
        if not isinstance(value, np.ndarray):
            return NotImplemented
        strides = tuple(each // value.itemsize for each in value.strides)
        parts = (Storage(str(id(value)), value), 0, value.shape, strides, False, OrderedDict())
        return (self._names["torch._utils"]._rebuild_tensor_v2, parts)


def saved(state) -> bytes:
    """Return a state dict as the bytes of a file."""
    names, before = torch_names(), {}
    for name, module in names.items():
        before[name] = sys.modules.get(name)
        sys.modules[name] = module
    try:
        file = io.BytesIO()
        for each in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(each, file, 2)
        writer = Writer(file, names)
        writer.dump(OrderedDict(state))
        pickle.dump(list(writer.storages), file, 2)
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.__setitem__(name, module)
    for values in writer.storages.values():
        file.write(values.size.to_bytes(8, "little") + values.tobytes())
    return file.getvalue()


def minifasnet_state():
    """Return the state dict of a narrow MiniFASNet with random weights."""
    dice, state = np.random.default_rng(1), {}

    def some(*shape):
        return dice.normal(0, 0.5, shape).astype(np.float32)

    def norm(name, width):
        for part in ("weight", "bias", "running_mean"):
            state[f"{name}.{part}"] = some(width)
        state[f"{name}.running_var"] = np.abs(some(width)) + np.float32(0.1)
        state[f"{name}.num_batches_tracked"] = np.array([7], np.int64)

    def unit(name, width, read, side, slope=True):
        state[f"{name}.conv.weight"] = some(width, read, side, side)
        norm(f"{name}.bn", width)
        if slope:
            state[f"{name}.prelu.weight"] = some(width)

    def block(name):
        unit(f"{name}.conv", WIDTH, WIDTH, 1)
        unit(f"{name}.conv_dw", WIDTH, 1, 3)
        unit(f"{name}.project", WIDTH, WIDTH, 1, slope=False)

    unit("module.conv1", WIDTH, 3, 3)
    unit("module.conv2_dw", WIDTH, 1, 3)
    for stage, blocks in STAGES:
        block(f"module.conv_{stage - 1}{stage}")
        for number in range(blocks):
            block(f"module.conv_{stage}.model.{number}")
        for place in (1, 2):
            name = f"module.conv_{stage}.model.{blocks - 1}.se_module"
            state[f"{name}.fc{place}.weight"] = some(WIDTH, WIDTH, 1, 1)
            norm(f"{name}.bn{place}", WIDTH)
    unit("module.conv_6_sep", 4, WIDTH, 1)
    unit("module.conv_6_dw", 4, 1, 5, slope=False)
    state["module.linear.weight"] = some(5, 4)
    norm("module.bn", 5)
    state["module.prob.weight"] = some(3, 5)
    return state


class Ir:
    """An IR under construction: `layer` adds a layer after others, `constant` adds weights."""

    def __init__(self):
        self.layers, self.edges, self.weights = [], [], b""

    def layer(self, kind, shape, *reads, name=None, data=""):
        """Add a layer. `reads`: what `layer` and `constant` returned. Returns the place and shape of its output."""
        number = len(self.layers)
        inputs = "".join(f'<port id="{i}">{dims(shape)}</port>' for i, (_, _, shape) in enumerate(reads))
        output = "" if kind == "Result" else f'<output><port id="{len(reads)}">{dims(shape)}</port></output>'
        head = f'<layer id="{number}" name="{name or f"n{number}"}" type="{kind}" version="opset1">'
        self.layers.append(f"{head}<data {data}/><input>{inputs}</input>{output}</layer>")
        for place, (layer, port, _) in enumerate(reads):
            edge = f'from-layer="{layer}" from-port="{port}" to-layer="{number}" to-port="{place}"'
            self.edges.append(f"<edge {edge}/>")
        return number, len(reads), shape

    def constant(self, values, kind="f16"):
        raw = np.asarray(values, "<f2" if kind == "f16" else "<f4").tobytes()
        shape = np.shape(values)
        listed = ", ".join(map(str, shape))
        data = f'element_type="{kind}" shape="{listed}" offset="{len(self.weights)}" size="{len(raw)}"'
        self.weights += raw
        found = self.layer("Const", shape, data=data)
        return found if kind == "f32" else self.layer("Convert", shape, found, data='destination_type="f32"')

    def xml(self):
        layers, edges = "".join(self.layers), "".join(self.edges)
        return f'<?xml version="1.0"?><net><layers>{layers}</layers><edges>{edges}</edges></net>'.encode()


def dims(shape):
    return "".join(f"<dim>{each}</dim>" for each in shape)


CONVOLUTION = 'strides="1, 1" dilations="1, 1" pads_begin="1, 1" pads_end="1, 1" auto_pad="explicit"'
POOL = 'kernel="4, 4" strides="4, 4" pads_begin="0, 0" pads_end="0, 0" exclude-pad="true" auto_pad="explicit" '
POOL += 'rounding_type="floor"'
NUMPY = 'auto_broadcast="numpy"'


def small_ir():
    """Return an IR that uses every known operation once: x -> convolutions, slope, gate by its mean -> result."""
    ir, dice = Ir(), np.random.default_rng(2)
    picture = ir.layer("Parameter", (1, 3, 4, 4), name="0", data='shape="1,3,4,4" element_type="f32"')
    x = ir.layer("Multiply", (1, 3, 4, 4), picture, ir.constant(np.full((1, 3, 1, 1), 0.5)), data=NUMPY)
    kernel = ir.constant(dice.normal(size=(2, 3, 3, 3)))
    x = ir.layer("Convolution", (1, 2, 4, 4), x, kernel, data=CONVOLUTION)
    x = ir.layer("Add", (1, 2, 4, 4), x, ir.constant(np.ones((1, 2, 1, 1)), "f32"), data=NUMPY)
    x = ir.layer("PReLU", (1, 2, 4, 4), x, ir.constant([0.25]))
    kernel = ir.constant(dice.normal(size=(2, 1, 1, 3, 3)))
    x = ir.layer("GroupConvolution", (1, 2, 4, 4), x, kernel, data=CONVOLUTION)
    mean = ir.layer("AvgPool", (1, 2, 1, 1), x, data=POOL)
    share = ir.layer("Sigmoid", (1, 2, 1, 1), mean)
    x = ir.layer("Multiply", (1, 2, 4, 4), x, share, name="out", data=NUMPY)
    ir.layer("Result", (), x)
    return ir


@pytest.fixture(scope="session")
def state():
    return minifasnet_state()


@pytest.fixture(scope="session")
def pth(state):
    return saved(state)


@pytest.fixture(scope="session")
def ir():
    return small_ir()


@pytest.fixture(scope="session")
def run():
    """Return a function that runs the bytes of a network on an input with onnxruntime."""
    import onnxruntime

    def run(data, values):
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: values.astype(np.float32)})[0]

    return run


@pytest.fixture(scope="session")
def write():
    """Return the function that writes a state dict, for tests that change one."""
    return saved
