#!/usr/bin/env python3
"""The programs that scripts/bench compares with: the same work as a Python user does it today. peers.py PART ARGUMENT ...

convert MODEL.h5 STEM        writes STEM.onnx and STEM.tflite for the other parts
application NAME OUT.h5      a network of keras.applications, no top, average pooling, seeded random weights
quantize MODEL STEM PICTURES writes STEM.int8.onnx (ONNX Runtime, QDQ), STEM.int8.xml (OpenVINO, nncf) and STEM.int8.tflite; MODEL: a Keras
                             file, or the folder of a preset, whose network nncf is told to be a transformer, without STEM.int8.tflite
forward STEM [THREADS] [ISA] [PRECISION]
                             prints JSON {engine: [latency ms, throughput ms/image]}; PRECISION: f32, bf16, int8
train BACKBONE.h5 DIR        Keras features, scikit-learn head
predict-keras MODEL.h5 PICTURE
predict-onnx MODEL.onnx PICTURE
head-data FEATURES.h5 DIR    writes DIR/gaussian, DIR/blended, DIR/close .f32 and .i32: 20000 rows of 100 classes
head STEM D L2 DTYPE         scikit-learn's lbfgs: prints "seconds objective" for each evaluation
"""
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np

SIZE = 224
SUFFIX = {"f32": "", "bf16": "", "int8": ".int8"}


def picture(path, size=SIZE):
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    side = min(image.size) * 0.875
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return np.asarray(image.resize((size, size), Image.BICUBIC, (left, top, left + side, top + side)), np.float32)


def median_ms(call, images, seconds=3.0):
    call()
    took, start = [], time.time()
    while time.time() - start < seconds or len(took) < 5:
        t = time.perf_counter()
        call()
        took.append(time.perf_counter() - t)
    return float(np.median(took)) / images * 1e3


def keras_call(model):
    """The network as a function of TensorFlow, and the size of its input."""
    import keras
    import tensorflow as tf

    net = keras.saving.load_model(model, compile=False)
    size = [d or SIZE for d in net.input_shape[1:]]
    net(np.zeros([1] + size, np.float32))
    return tf.function(lambda x: net(x, training=False)), size


def lite_converter(call, shape):
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_concrete_functions([call.get_concrete_function(tf.TensorSpec(shape, tf.float32))])


def convert(model, stem):
    import tensorflow as tf
    import tf2onnx

    call, size = keras_call(model)
    tf2onnx.convert.from_function(call, input_signature=[tf.TensorSpec([None] + size, tf.float32, name="x")], opset=15,
                                  inputs_as_nchw=["x"], output_path=stem + ".onnx")
    with open(stem + ".tflite", "wb") as f:
        f.write(lite_converter(call, [1] + size).convert())


def application(name, path):
    import keras

    keras.utils.set_random_seed(1)
    getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)).save(path)


def onnx_session(path, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pixels_of(folder, size, most=100):
    """Pictures [n, size, size, 3] from which the ranges of the activations are taken."""
    paths = sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.lower().endswith((".jpg", ".jpeg", ".png")))
    return np.stack([picture(path, size) for path in paths[:: max(1, len(paths) // most)][:most]])


def quantize(model, stem, folder):
    """Post-training quantisation by each engine's own tool, with one scale for each channel of the weights."""
    import nncf
    import openvino as ov
    import tensorflow as tf
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    network = ov.Core().read_model(stem + ".onnx")
    size = network.inputs[0].partial_shape[2].get_length()
    preset = os.path.isdir(model)
    pixels = pixels_of(folder, size)
    if preset:
        with open(os.path.join(model, "image_converter.json")) as f:
            scaling = json.load(f)["config"]
        pixels = (pixels * scaling["scale"] + scaling["offset"]).astype(np.float32)
    rows = [p.transpose(2, 0, 1)[None] for p in pixels]
    network.reshape([1, 3, size, size])
    kind = nncf.ModelType.TRANSFORMER if preset else None
    ov.save_model(nncf.quantize(network, nncf.Dataset(rows), model_type=kind), stem + ".int8.xml", compress_to_fp16=False)

    class Reader(q.CalibrationDataReader):
        left = iter([{"x": row} for row in rows])

        def get_next(self):
            return next(self.left, None)

    with open("/proc/cpuinfo") as f:  # without VNNI, sums of two products of 8 bits do not fit in 16 bits
        reduce_range = "vnni" not in f.read()
    quant_pre_process(stem + ".onnx", stem + ".prepared.onnx", skip_symbolic_shape=True)
    q.quantize_static(stem + ".prepared.onnx", stem + ".int8.onnx", Reader(), quant_format=q.QuantFormat.QDQ, per_channel=True,
                      activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8, reduce_range=reduce_range)
    if preset:
        return
    converter = lite_converter(keras_call(model)[0], [1, size, size, 3])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([p[None]] for p in pixels)
    with open(stem + ".int8.tflite", "wb") as f:
        f.write(converter.convert())


def forward_onnxruntime(stem, threads, precision):
    session = onnx_session(stem + SUFFIX[precision] + ".onnx", threads)
    batch, *shape = session.get_inputs()[0].shape
    one, eight = (np.random.rand(n, *shape).astype(np.float32) for n in (1, 8))
    latency = median_ms(lambda: session.run(None, {"x": one}), 1)
    if batch != 1:
        return latency, min(latency, median_ms(lambda: session.run(None, {"x": eight}), 8))
    single = onnx_session(stem + SUFFIX[precision] + ".onnx", 1)
    with ThreadPoolExecutor(threads) as pool:
        each = median_ms(lambda: list(pool.map(lambda _: single.run(None, {"x": one}), range(4 * threads))), 4 * threads)
    return latency, min(latency, each)


def forward_openvino(stem, threads, precision):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(stem + (".int8.xml" if precision == "int8" else ".onnx"))
    shape = [1] + [d.get_length() for d in list(model.inputs[0].partial_shape)[1:]]
    model.reshape(shape)
    x = np.random.rand(*shape).astype(np.float32)
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    request = core.compile_model(model, "CPU", dict(hints, NUM_STREAMS=1)).create_infer_request()
    latency = median_ms(lambda: request.infer({0: x}), 1)
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", dict(hints, NUM_STREAMS=threads)), threads)

    def many():
        for _ in range(16):
            queue.start_async({0: x})
        queue.wait_all()

    return latency, min(latency, median_ms(many, 16))


def forward_litert(stem, threads, precision):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(stem + SUFFIX[precision] + ".tflite", num_threads=threads)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.random.rand(*detail["shape"]).astype(np.float32))
    latency = median_ms(interpreter.invoke, 1)
    return latency, latency


def forward(stem, threads=None, narrow="", precision="f32"):
    """narrow: AVX2 only, which can be set for OpenVINO alone."""
    threads = int(threads or len(os.sched_getaffinity(0)))
    engines = {"ONNX Runtime": forward_onnxruntime, "OpenVINO": forward_openvino, "LiteRT": forward_litert}
    if narrow:
        os.environ["ONEDNN_MAX_CPU_ISA"] = narrow.upper()
        engines = {"OpenVINO, AVX2 only": forward_openvino}
    if precision == "bf16":  # the only one that has it on processors
        engines = {name: call for name, call in engines.items() if call is forward_openvino}
    if not os.path.exists(stem + SUFFIX[precision] + ".tflite"):
        engines.pop("LiteRT", None)
    end = "" if precision == "f32" else ", " + precision
    print(json.dumps({name + end: call(stem, threads, precision) for name, call in engines.items()}))


def train(backbone, folder):
    import keras
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    net = keras.saving.load_model(backbone, compile=False)
    classes = sorted(os.listdir(folder))
    paths = [(os.path.join(folder, c, f), i) for i, c in enumerate(classes) for f in sorted(os.listdir(os.path.join(folder, c)))]
    features = []
    for i in range(0, len(paths), 32):
        features.append(np.asarray(net(np.stack([picture(p) for p, _ in paths[i : i + 32]]), training=False)))
    x, y = np.concatenate(features), np.array([label for _, label in paths])
    head = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=9, cv=5, max_iter=300)).fit(x, y)
    print(len(y), head.score(x, y))


def predict_keras(model, path):
    import keras

    print(np.asarray(keras.saving.load_model(model, compile=False)(picture(path)[None], training=False)))


def predict_onnx(model, path):
    print(onnx_session(model, len(os.sched_getaffinity(0))).run(None, {"x": picture(path).transpose(2, 0, 1)[None]}))


def write_rows(stem, x, y):
    x.astype(np.float32).tofile(stem + ".f32")
    y.astype(np.int32).tofile(stem + ".i32")


def head_data(features, folder, n=20000, k=100):
    """Three problems: clusters of a correlated normal distribution; and what a network's features of many classes look like: every
    class blends a few real photographs' features of its own, every row adds some of any photograph, so that classes overlap."""
    import h5py

    with h5py.File(features) as f:
        real = np.asarray(f["features"], np.float32)
    rng = np.random.default_rng(3)
    d = real.shape[1]
    y = np.arange(n) % k
    mix = rng.normal(size=(64, d))
    latent = rng.normal(size=(k, 64))[y] * 0.6 + rng.normal(size=(n, 64))
    write_rows(os.path.join(folder, "gaussian"), latent @ mix / 8 + rng.normal(size=(n, d)), y)
    own = rng.integers(0, len(real), (k, 6))
    for name, share in (("blended", 0.5), ("close", 0.25)):
        x = np.empty((n, d), np.float32)
        for i in range(n):
            a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(3))
            x[i] = share * (a @ real[own[y[i]]]) + (1 - share) * (b @ real[rng.integers(0, len(real), 3)])
        write_rows(os.path.join(folder, name), x * np.exp(0.1 * rng.normal(size=x.shape)), y)


def head(stem, d, l2, dtype):
    import warnings

    import scipy.optimize
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = np.fromfile(stem + ".f32", np.float32).reshape(-1, int(d)).astype(dtype)
    y = np.fromfile(stem + ".i32", np.int32)
    minimise, start = scipy.optimize.minimize, time.perf_counter()

    def watched(function, *rest, **options):
        def evaluate(*a):
            value = function(*a)
            print(f"{time.perf_counter() - start:.4f} {float(value[0]):.10g}", flush=True)
            return value

        return minimise(evaluate, *rest, **options)

    scipy.optimize.minimize = watched
    warnings.simplefilter("ignore")
    LogisticRegression(C=1 / (float(l2) * len(y)), tol=1e-6, max_iter=400).fit(StandardScaler().fit_transform(x), y)


parts = {"convert": convert, "application": application, "forward": forward, "quantize": quantize, "train": train, "predict-keras": predict_keras, "predict-onnx": predict_onnx,
         "head-data": head_data, "head": head}
if __name__ == "__main__":
    parts[sys.argv[1]](*sys.argv[2:])
