"""Writes tests/golden/onnx: small ONNX networks and what ONNX Runtime makes of them.

    python scripts/golden_onnx.py            (needs onnx, onnxruntime, numpy)

Each NAME.onnx has a NAME.txt: "seed height width channels" of the pixels, then "output COUNT LARGEST N"
and N pairs of place and value. Pixels come from SplitMix64, places are in the order rows, columns,
channels."""

import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = os.path.join(os.path.dirname(__file__), "..", "tests", "golden", "onnx")
MASK = (1 << 64) - 1


def pixels(seed, count):
    out, state = np.empty(count, np.uint8), seed
    for i in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out[i] = (z ^ (z >> 31)) >> 56
    return out


class Graph:
    """A chain of nodes; every method appends one and returns the name of its output."""

    def __init__(self, seed, size=24, opset=17, last=False):
        self.random = np.random.default_rng(seed)
        self.seed, self.size, self.opset, self.last = seed, size, opset, last
        self.nodes, self.tensors = [], []
        shape = ["N", size, size, 3] if last else ["N", 3, size, size]
        self.input = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
        self.start = self.op("Mul", "image", self.constant(np.float32(1 / 128)))

    def constant(self, value):
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}_{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"/{names[0]}", **attributes))
        return names[0] if outputs == 1 else names

    def weights(self, *shape):
        return self.constant(self.random.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32))

    def vector(self, n, low=0.5, high=1.5):
        return self.constant(self.random.uniform(low, high, n).astype(np.float32))

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def conv(self, x, channels, filters, k=3, group=1, bias=True, **attributes):
        inputs = [x, self.weights(filters, channels // group, k, k)]
        if bias:
            inputs.append(self.vector(filters, -0.5, 0.5))
        return self.op("Conv", *inputs, group=group, **attributes)

    def write(self, name, output):
        shape = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, name, [self.input], [shape], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        path = os.path.join(FOLDER, name + ".onnx")
        onnx.save(model, path)
        if name.startswith("../"):  # it is refused: there are no values to compare
            return
        x = pixels(self.seed, self.size * self.size * 3).reshape(1, self.size, self.size, 3)
        x = x.astype(np.float32) if self.last else x.transpose(0, 3, 1, 2).astype(np.float32)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        y = session.run(None, {"image": x})[0]
        if y.ndim == 4 and not self.last:
            y = y.transpose(0, 2, 3, 1)
        y = y.reshape(-1)
        places = np.unique(np.linspace(0, len(y) - 1, 40).astype(int))
        with open(path[:-5] + ".txt", "w") as f:
            f.write(f"{self.seed} {self.size} {self.size} 3\n")
            f.write(f"output {len(y)} {np.abs(y).max():.9g} {len(places)}\n")
            f.write("".join(f"{i} {y[i]:.9g}\n" for i in places))


def convolutions():
    g = Graph(1, size=23)
    x = g.conv(g.start, 3, 8, pads=[1, 1, 1, 1], strides=[2, 2])
    x = g.conv(x, 8, 8, group=8, auto_pad="SAME_UPPER", strides=[2, 2])
    x = g.conv(x, 8, 16, group=8, pads=[1, 1, 1, 1])
    x = g.conv(x, 16, 12, k=3, group=4, dilations=[2, 2], pads=[2, 2, 2, 2])
    x = g.conv(x, 12, 10, pads=[0, 1, 2, 1], bias=False)
    x = g.conv(x, 10, 6, k=2, auto_pad="SAME_LOWER")
    g.write("convolutions", x)


def pools():
    g = Graph(2, size=26)
    x = g.conv(g.start, 3, 8, pads=[1, 1, 1, 1])
    parts = [
        g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
        g.op("MaxPool", g.op("Relu", x), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]),
        g.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    ]
    x = g.op("Concat", *parts, axis=1)
    x = g.op("Pad", x, g.ints(0, 0, 1, 2, 0, 0, 0, 1))
    g.write("pools", x)


def norms():
    g = Graph(3)
    x = g.conv(g.start, 3, 8)
    x = g.op("BatchNormalization", x, g.vector(8), g.vector(8, -1, 1), g.vector(8, -1, 1), g.vector(8))
    x = g.op("InstanceNormalization", x, g.vector(8), g.vector(8, -1, 1))
    x = g.op("PRelu", x, g.constant(g.random.uniform(0, 1, (8, 1, 1)).astype(np.float32)))
    x = g.op("Transpose", x, perm=[0, 2, 3, 1])
    x = g.op("LayerNormalization", x, g.vector(8), g.vector(8, -1, 1), axis=-1, epsilon=1e-6)
    mean = g.op("ReduceMean", x, axes=[-1])  # the same, spelled out
    centred = g.op("Sub", x, mean)
    variance = g.op("ReduceMean", g.op("Pow", centred, g.constant(np.float32(2))), axes=[-1])
    root = g.op("Sqrt", g.op("Add", variance, g.constant(np.float32(1e-5))))
    x = g.op("Add", g.op("Mul", g.op("Div", centred, root), g.vector(8)), g.vector(8))
    g.write("norms", g.op("Transpose", x, perm=[0, 3, 1, 2]))


def activations():
    g = Graph(4)
    number = lambda v: g.constant(np.float32(v))
    x = g.op("Sub", g.conv(g.start, 3, 4), number(1.5))
    y = [g.op(kind, x) for kind in ["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Elu", "Selu",
                                    "LeakyRelu", "HardSigmoid"]]
    y.append(g.op("Clip", x, number(0), number(6)))
    y.append(g.op("Clip", x, number(0), number(1.25)))
    y.append(g.op("Mul", x, g.op("Sigmoid", x)))
    y.append(g.op("Mul", x, g.op("Tanh", g.op("Softplus", x))))
    erf = g.op("Add", g.op("Erf", g.op("Div", x, number(2**0.5))), number(1))
    y.append(g.op("Mul", g.op("Mul", x, erf), number(0.5)))
    erf = g.op("Add", g.op("Erf", g.op("Mul", x, number(0.5**0.5))), number(1))
    y.append(g.op("Mul", g.op("Mul", number(0.5), x), erf))
    relu6 = g.op("Clip", g.op("Add", x, number(3)), number(0), number(6))
    y.append(g.op("Div", g.op("Mul", x, relu6), number(6)))
    y.append(g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    y.append(g.op("Softmax", g.op("Transpose", x, perm=[0, 2, 3, 1]), axis=-1))
    y[-1] = g.op("Transpose", y[-1], perm=[0, 3, 1, 2])
    g.write("activations", g.op("Concat", *y, axis=1))


def shapes():
    """Channel shuffle, splits, shape arithmetic, squeeze and excitation, a matrix after a flattened map."""
    g = Graph(5)
    x = g.conv(g.start, 3, 12, strides=[2, 2])
    shape = g.op("Shape", x)
    n, h, w = (g.op("Unsqueeze", g.op("Gather", shape, g.constant(np.int64(i)), axis=0), g.ints(0)) for i in (0, 2, 3))
    x = g.op("Reshape", x, g.op("Concat", n, g.ints(3), g.ints(4), h, w, axis=0))
    x = g.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    x = g.op("Reshape", x, g.op("Concat", n, g.ints(-1), h, w, axis=0))
    a, b, c = g.op("Split", x, g.ints(4, 4, 4), axis=1, outputs=3)
    b = g.op("Add", g.op("Mul", a, b), g.op("Slice", x, g.ints(2), g.ints(10), g.ints(1), g.ints(2)))
    x = g.op("Concat", c, b, axis=1)
    pooled = g.op("Reshape", g.op("ReduceMean", x, axes=[2, 3]), g.ints(0, 8))
    gate = g.op("Sigmoid", g.op("Gemm", pooled, g.weights(8, 8), g.vector(8), transB=1))
    x = g.op("Mul", x, g.op("Unsqueeze", gate, g.ints(2, 3)))
    x = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[3, 3])
    x = g.op("Flatten", x)
    x = g.op("MatMul", x, g.weights(72, 10))
    g.write("shapes", g.op("Softmax", g.op("Add", x, g.vector(10)), axis=1))


def channels_last():
    """What tf2onnx writes: the picture has its channels last, transposes around convolutions."""
    g = Graph(6, last=True, opset=13)
    x = g.op("Transpose", g.start, perm=[0, 3, 1, 2])
    x = g.conv(x, 3, 6, auto_pad="SAME_UPPER", strides=[2, 2])
    x = g.op("Transpose", x, perm=[0, 2, 3, 1])
    x = g.op("Mul", x, g.vector(6))
    x = g.op("MatMul", x, g.weights(6, 7))
    x = g.op("Transpose", x, perm=[0, 3, 1, 2])
    x = g.op("GlobalAveragePool", x)
    g.write("channels_last", g.op("Squeeze", x, g.ints(2, 3)))


def tokens():
    """Pixels as tokens: a class token, positions, a part of the tokens."""
    g = Graph(7)
    x = g.conv(g.start, 3, 8, k=4, strides=[4, 4])
    x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 8, 36)), perm=[0, 2, 1])
    x = g.op("Concat", g.constant(g.random.normal(0, 1, (1, 1, 8)).astype(np.float32)), x, axis=1)
    x = g.op("Add", x, g.constant(g.random.normal(0, 1, (1, 37, 8)).astype(np.float32)))
    x = g.op("Add", g.op("MatMul", x, g.weights(8, 8)), g.vector(8))
    first = g.op("Gather", x, g.constant(np.int64(0)), axis=1)
    rest = g.op("ReduceMean", g.op("Slice", x, g.ints(1), g.ints(2**62), g.ints(1)), axes=[1], keepdims=0)
    g.write("tokens", g.op("Concat", first, rest, axis=1))


def attention():
    """A block of a vision transformer with queries, keys and values from one matrix, as PyTorch writes it."""
    g = Graph(8, size=16)
    x = g.conv(g.start, 3, 12, k=4, strides=[4, 4])
    x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 12, 16)), perm=[0, 2, 1])
    y = g.op("LayerNormalization", x, g.vector(12), g.vector(12, -1, 1), axis=-1)
    y = g.op("Add", g.op("MatMul", y, g.weights(12, 36)), g.vector(36, -1, 1))
    y = g.op("Transpose", g.op("Reshape", y, g.ints(1, 16, 3, 3, 4)), perm=[2, 0, 3, 1, 4])
    q, k, v = (g.op("Gather", y, g.constant(np.int64(i)), axis=0) for i in range(3))
    q = g.op("Mul", q, g.constant(np.float32(0.5)))
    p = g.op("Softmax", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    y = g.op("Transpose", g.op("MatMul", p, v), perm=[0, 2, 1, 3])
    y = g.op("MatMul", g.op("Reshape", y, g.ints(1, 16, 12)), g.weights(12, 12))
    x = g.op("Add", x, g.op("Add", y, g.vector(12)))
    g.write("attention", g.op("ReduceMean", x, axes=[1], keepdims=0))


def external():
    """Weights in a file beside the model."""
    g = Graph(9, size=12)
    g.write("external", g.op("GlobalAveragePool", g.conv(g.start, 3, 64)))
    path = os.path.join(FOLDER, "external.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="external.bin", size_threshold=256)


def resizes():
    """Resize, limits of Clip that do not begin at 0, and Gelu by tanh, which is an operator since opset 20."""
    g = Graph(10, size=10, opset=20)
    number = lambda v: g.constant(np.float32(v))
    x = g.op("Sub", g.conv(g.start, 3, 4), number(1.0))
    y = [g.op("Clip", x, *limits) for limits in [(number(-1), number(0.5)), ("", number(0.25)), (number(-0.75),), (number(0.5), number(2))]]
    y.append(g.op("Gelu", x, approximate="tanh"))
    y.append(g.op("Gelu", x))
    x = g.conv(g.op("Concat", *y, axis=1), 24, 6)
    factors = lambda *v: g.constant(np.float32(v))
    y = [
        g.op("Resize", x, "", factors(1, 1, 2, 3), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        g.op("Resize", x, "", factors(1, 1, 2, 3)),
        g.op("Resize", x, "", "", g.ints(1, 6, 12, 18), mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    ]
    g.write("resizes", g.op("Concat", *y, axis=1))


def single():
    """What fuzz_onnx.py found: one channel, which no axis counts; every second row; a difference that repeats a map."""
    g = Graph(11, size=9)
    x = g.conv(g.start, 3, 4, k=1)
    a, b = g.op("Split", x, g.ints(3, 1), axis=1, outputs=2)
    x = g.op("Concat", b, a, axis=1)
    x = g.op("Sub", g.op("GlobalAveragePool", x), x)
    x = g.op("Slice", x, g.ints(0), g.ints(9), g.ints(2), g.ints(2))
    g.write("single", x)


def elementwise():
    """Limits by Max and Min, powers, spellings, sums of three, and attention whose inputs are reshaped one by one."""
    g = Graph(12, size=6)
    number = lambda v: g.constant(np.float32(v))
    x = g.op("Sub", g.conv(g.start, 3, 4, k=1), number(0.5))
    vector = g.constant(g.random.uniform(-0.5, 0.5, (4, 1, 1)).astype(np.float32))
    y = [g.op("Max", x, number(-0.25)), g.op("Max", vector, x), g.op("Min", x, vector), g.op("Min", number(0.5), x, number(0.25))]
    y += [g.op("Abs", x), g.op("Neg", x), g.op("Celu", x, alpha=0.5), g.op("HardSigmoid", x, alpha=0.3, beta=0.4), g.op("Sum", x, y[0], y[1])]
    y += [g.op("Pow", x, number(2)), g.op("Div", x, g.op("Add", g.op("Abs", x), number(1)))]
    tanh = g.op("Add", x, g.op("Mul", g.op("Pow", x, number(3)), number(0.044715)))
    tanh = g.op("Add", g.op("Tanh", g.op("Mul", tanh, number(0.7978845608))), number(1))
    y.append(g.op("Mul", g.op("Mul", x, number(0.5)), tanh))
    x = g.conv(g.op("Concat", *y, axis=1), 48, 6, k=1)
    t = g.op("Transpose", g.op("Reshape", x, g.ints(1, 6, 36)), perm=[0, 2, 1])
    q, k, v = (g.op("Reshape", g.op("Add", g.op("MatMul", t, g.weights(6, 6)), g.vector(6)), g.ints(1, 36, 2, 3)) for _ in range(3))
    s = g.op("MatMul", g.op("Transpose", q, perm=[0, 2, 1, 3]), g.op("Transpose", k, perm=[0, 2, 3, 1]))
    s = g.op("MatMul", g.op("Softmax", g.op("Mul", s, number(0.6)), axis=-1), g.op("Transpose", v, perm=[0, 2, 1, 3]))
    s = g.op("Reshape", g.op("Transpose", s, perm=[0, 2, 1, 3]), g.ints(1, 36, 6))
    g.write("elementwise", g.op("MatMul", s, g.weights(6, 6)))


def windows():
    """Pools with any padding, indices in any order, means of channels, repeated constants, Upsample of old opsets."""
    g = Graph(13, size=11, opset=11)
    x = g.op("Sub", g.conv(g.start, 3, 4, k=1), g.constant(np.float32(0.5)))
    y = [
        g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 0]),
        g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 0, 1]),
        g.op("AveragePool", x, kernel_shape=[4, 4], strides=[2, 2], ceil_mode=1),
        g.op("MaxPool", x, kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 1, 1], ceil_mode=1),
        g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
    ]
    y = [g.op("Slice", v, g.ints(0, 0), g.ints(5, 5), g.ints(2, 3)) for v in y]
    x = g.op("Gather", g.op("Concat", *y, axis=1), g.ints(7, 0, 19, 7, -3, 4, 11, 12), axis=1)
    x = g.op("Sub", x, g.op("ReduceMean", x, axes=[1]))
    x = g.op("Mul", x, g.op("Tile", g.constant(g.random.uniform(0.5, 1.5, (1, 2, 1, 1)).astype(np.float32)), g.ints(1, 4, 1, 1)))
    g.write("windows", g.op("ThresholdedRelu", x, alpha=0.1))


def attend(g, q, k, v, *added):
    """Softmax(q k * 0.5 + ...) v, all [windows, heads, tokens, each]; shapes in `added` are applied by Reshape."""
    order = [*range(k[1] - 2), k[1] - 1, k[1] - 2]
    s = g.op("Mul", g.op("MatMul", q, g.op("Transpose", k[0], perm=order)), g.constant(np.float32(0.5)))
    for a in added:
        s = g.op("Reshape", s, g.ints(*a)) if isinstance(a, tuple) else g.op("Add", s, a)
    return g.op("MatMul", g.op("Softmax", s, axis=-1), v)


def roll(g, x, by, n):
    """Rows and columns, as PyTorch writes torch.roll."""
    for axis in (1, 2):
        later = g.op("Slice", x, g.ints(by % n), g.ints(2**62), g.ints(axis))
        x = g.op("Concat", later, g.op("Slice", x, g.ints(0), g.ints(by % n), g.ints(axis)), axis=axis)
    return x


def shifted():
    """Attention in windows of 4 x 4 pixels after a shift, with relative positions and a mask, and a map of half the size (Swin)."""
    g = Graph(14, size=16)
    x = g.op("Transpose", g.conv(g.start, 3, 6, k=2, strides=[2, 2]), perm=[0, 2, 3, 1])  # 8 x 8
    table, index = g.constant(g.random.normal(0, 1, (49, 2)).astype(np.float32)), np.add.outer(np.arange(16), np.arange(16)) % 49
    positions = g.op("Transpose", g.op("Reshape", g.op("Gather", table, g.constant(index.reshape(-1))), g.ints(16, 16, 2)), perm=[2, 0, 1])
    positions = g.op("Unsqueeze", positions, g.ints(0))
    region = g.op("ConstantOfShape", g.ints(8, 8), value=numpy_helper.from_array(np.zeros(1, np.float32)))
    rows = g.constant(np.arange(6, 8)[:, None])
    region = g.op("ScatterND", region, rows, g.constant(np.ones((2, 8), np.float32)), reduction="none")
    region = g.op("Transpose", g.op("ScatterND", g.op("Transpose", region, perm=[1, 0]), rows, g.constant(np.full((2, 8), 2, np.float32))), perm=[1, 0])
    region = g.op("Reshape", g.op("Transpose", g.op("Reshape", region, g.ints(2, 4, 2, 4)), perm=[0, 2, 1, 3]), g.ints(4, 16))
    apart = g.op("Sub", g.op("Unsqueeze", region, g.ints(1)), g.op("Unsqueeze", region, g.ints(2)))
    mask = g.op("Where", g.op("Not", g.op("Equal", apart, g.constant(np.float32(0)))), g.constant(np.float32(-100)), apart)
    mask = g.op("Unsqueeze", g.op("Unsqueeze", mask, g.ints(1)), g.ints(0))
    for shift in (0, 2):
        y = g.op("LayerNormalization", x, g.vector(6), g.vector(6, -1, 1), axis=-1)
        y = roll(g, y, shift, 8) if shift else y
        y = g.op("Transpose", g.op("Reshape", y, g.ints(1, 2, 4, 2, 4, 6)), perm=[0, 1, 3, 2, 4, 5])
        y = g.op("Add", g.op("MatMul", g.op("Reshape", y, g.ints(4, 16, 6)), g.weights(6, 18)), g.vector(18, -1, 1))
        y = g.op("Transpose", g.op("Reshape", y, g.ints(4, 16, 3, 2, 3)), perm=[2, 0, 3, 1, 4])
        q, k, v = (g.op("Gather", y, g.constant(np.int64(i)), axis=0) for i in range(3))
        masked = [(1, 4, 2, 16, 16), mask, (-1, 2, 16, 16)] if shift else []
        y = g.op("Transpose", attend(g, q, (k, 4), v, positions, *masked), perm=[0, 2, 1, 3])
        y = g.op("Add", g.op("MatMul", g.op("Reshape", y, g.ints(4, 16, 6)), g.weights(6, 6)), g.vector(6))
        y = g.op("Transpose", g.op("Reshape", y, g.ints(1, 2, 2, 4, 4, 6)), perm=[0, 1, 3, 2, 4, 5])
        y = g.op("Reshape", y, g.ints(1, 8, 8, 6))
        x = g.op("Add", x, roll(g, y, -shift, 8) if shift else y)
    parts = [g.op("Slice", x, g.ints(i, j), g.ints(2**62, 2**62), g.ints(1, 2), g.ints(2, 2)) for j in (0, 1) for i in (0, 1)]
    x = g.op("MatMul", g.op("Concat", *parts, axis=-1), g.weights(24, 12))
    g.write("shifted", g.op("Transpose", x, perm=[0, 3, 1, 2]))


def thinned():
    """Tokens with batch norms and attention whose queries are every second row and column, with a bias for each pair (LeViT)."""
    g = Graph(15, size=14)
    x = g.conv(g.start, 3, 8, k=2, strides=[2, 2])  # 7 x 7
    x = g.op("Transpose", g.op("Reshape", x, g.ints(0, 0, -1)), perm=[0, 2, 1])

    def dense(x, c, n, tokens):
        x = g.op("Flatten", g.op("MatMul", x, g.weights(c, n)), axis=2)
        x = g.op("BatchNormalization", x, g.vector(n), g.vector(n, -1, 1), g.vector(n, -1, 1), g.vector(n))
        return g.op("Reshape", x, g.ints(1, tokens, n))

    def bias(n, m, name):
        table, at = g.random.normal(0, 1, (20, 2)).astype(np.float32), np.add.outer(3 * np.arange(n), np.arange(m)) % 20
        if name == "GatherND":
            return g.op("Transpose", g.op("GatherND", g.constant(table), g.op("Unsqueeze", g.constant(at), g.ints(-1))), perm=[2, 0, 1])
        return g.op("Gather", g.constant(np.ascontiguousarray(table.T)), g.constant(at), axis=1)

    y = g.op("Reshape", dense(x, 8, 2 * (3 + 3 + 5), 49), g.ints(1, 49, 2, -1))
    q, k, v = (g.op("Transpose", t, perm=[0, 2, 1, 3]) for t in g.op("Split", y, g.ints(3, 3, 5), axis=3, outputs=3))
    y = g.op("Reshape", g.op("Transpose", attend(g, q, (k, 4), v, bias(49, 49, "Gather")), perm=[0, 2, 1, 3]), g.ints(1, 49, 10))
    x = g.op("Add", x, dense(g.op("HardSwish", y), 10, 8, 49))
    y = g.op("Reshape", dense(x, 8, 2 * (3 + 5), 49), g.ints(1, 49, 2, -1))
    k, v = (g.op("Transpose", t, perm=[0, 2, 1, 3]) for t in g.op("Split", y, g.ints(3, 5), axis=3, outputs=2))
    few = g.op("Slice", g.op("Reshape", x, g.ints(1, 7, 7, 8)), g.ints(0, 0), g.ints(7, 7), g.ints(1, 2), g.ints(2, 2))
    q = g.op("Reshape", dense(g.op("Reshape", few, g.ints(1, 16, 8)), 8, 6, 16), g.ints(1, 16, 2, 3))
    y = attend(g, g.op("Transpose", q, perm=[0, 2, 1, 3]), (k, 4), v, bias(16, 49, "GatherND"))
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.ints(1, 16, 10))
    x = g.op("ReduceMean", dense(g.op("HardSwish", y), 10, 12, 16), axes=[1], keepdims=0)
    x = g.op("Gather", g.op("Reshape", x, g.ints(-1)), g.constant(np.arange(12).reshape(1, 12, 1, 1)), axis=0)  # as_strided
    g.write("thinned", g.op("Flatten", x))


def powers():
    """Roots, quotients, powers, local response normalisation."""
    g = Graph(16, size=7)
    number = lambda v: g.constant(np.float32(v))
    x = g.op("Add", g.op("Abs", g.conv(g.start, 3, 6)), number(0.25))
    y = [g.op("Sqrt", x), g.op("Reciprocal", x), g.op("Pow", x, number(-1.5)), g.op("Pow", x, number(0.3)), g.op("Div", number(2), x)]
    y += [g.op("Div", y[0], x), g.op("LRN", x, size=5, alpha=0.5), g.op("LRN", x, size=3, alpha=0.1, beta=0.5, bias=2.0)]
    y.append(g.op("Div", x, g.op("Add", g.op("GlobalAveragePool", x), number(1))))
    g.write("powers", g.conv(g.op("Concat", *y, axis=1), 54, 5))


def attend_by_einsum(g, x, windows, tokens):
    """x + attention of [1, windows, tokens, 6] in two heads, as einops writes it."""
    y = g.op("MatMul", g.op("LayerNormalization", x, g.vector(6), g.vector(6, -1, 1), axis=-1), g.weights(6, 18))
    q, k, v = (g.op("Transpose", g.op("Reshape", part, g.ints(1, windows, tokens, 2, 3)), perm=[0, 1, 3, 2, 4])
               for part in g.op("Split", g.op("Add", y, g.vector(18, -1, 1)), g.ints(6, 6, 6), axis=-1, outputs=3))
    scores = g.op("Einsum", q, g.op("Mul", k, g.constant(np.float32(0.4))), equation="B G H I D, B G H J D -> B G H I J")
    weights = g.op("Softmax", g.op("Add", scores, g.weights(1, 2, tokens, tokens)), axis=-1)
    y = g.op("Transpose", g.op("Einsum", weights, v, equation="bghij,bghjd->bghid"), perm=[0, 1, 3, 2, 4])
    return g.op("Add", x, g.op("MatMul", g.op("Reshape", y, g.ints(1, windows, tokens, 6)), g.weights(6, 6)))


def gridded():
    """Attention in windows of 4 x 4 pixels, then in grids of 4 x 4 pixels that are 3 apart (MaxViT)."""
    g = Graph(17)
    x = g.conv(g.start, 3, 6, k=2, strides=[2, 2])  # 12 x 12
    for between in ((1, 6, 12, 12), None):  # torch.export leaves out the reshape to a map
        x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 6, 3, 4, 3, 4)), perm=[0, 2, 4, 3, 5, 1])
        x = attend_by_einsum(g, g.op("Reshape", x, g.ints(1, 9, 16, 6)), 9, 16)
        x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 3, 3, 4, 4, 6)), perm=[0, 5, 1, 3, 2, 4])
        x = g.op("Reshape", x, g.ints(*between)) if between else x
        x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 6, 4, 3, 4, 3)), perm=[0, 2, 4, 3, 5, 1])
        x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 16, 9, 6)), perm=[0, 2, 1, 3])
        x = g.op("Transpose", attend_by_einsum(g, x, 9, 16), perm=[0, 2, 1, 3])
        x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 4, 4, 3, 3, 6)), perm=[0, 5, 1, 3, 2, 4])
        x = g.op("Reshape", x, g.ints(1, 6, 12, 12)) if between else x
    g.write("gridded", g.op("Reshape", x, g.ints(1, 6, 12, 12)))


def between():
    """Windows of a map whose channels are between rows and columns: refused, and not read as if the channels were last."""
    g = Graph(18)
    x = g.conv(g.start, 3, 6, k=2, strides=[2, 2])  # 12 x 12
    x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 6, 3, 4, 3, 4)), perm=[0, 2, 4, 3, 5, 1])
    x = g.op("Relu", g.op("MatMul", g.op("Reshape", x, g.ints(1, 9, 16, 6)), g.weights(6, 6)))
    x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 3, 3, 4, 4, 6)), perm=[0, 1, 3, 5, 2, 4])
    x = g.op("Transpose", g.op("Reshape", x, g.ints(1, 4, 3, 6, 4, 3)), perm=[0, 1, 4, 2, 5, 3])
    g.write("../../bad/onnx-channels-between", g.op("Relu", g.op("MatMul", g.op("Reshape", x, g.ints(1, 16, 9, 6)), g.weights(6, 6))))


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    for build in [convolutions, pools, norms, activations, shapes, channels_last, tokens, attention, external, resizes, single, elementwise, windows, shifted, thinned, powers, gridded, between]:
        build()
        print(build.__name__)
