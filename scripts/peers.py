#!/usr/bin/env python3
"""The programs that scripts/bench compares with: the same work as a Python user does it today. peers.py PART ARGUMENT ...

convert MODEL.h5 STEM        writes STEM.onnx and STEM.tflite for the other parts
application NAME OUT.h5      a network of keras.applications, no top, average pooling, seeded random weights
forward STEM [THREADS]       prints JSON {engine: [latency ms, throughput ms/image]}
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


def convert(model, stem):
    import keras
    import tensorflow as tf
    import tf2onnx

    net = keras.saving.load_model(model, compile=False)
    size = [d or SIZE for d in net.input_shape[1:]]
    net(np.zeros([1] + size, np.float32))
    call = tf.function(lambda x: net(x, training=False))
    tf2onnx.convert.from_function(call, input_signature=[tf.TensorSpec([None] + size, tf.float32, name="x")], opset=15,
                                  inputs_as_nchw=["x"], output_path=stem + ".onnx")
    one = call.get_concrete_function(tf.TensorSpec([1] + size, tf.float32))
    with open(stem + ".tflite", "wb") as f:
        f.write(tf.lite.TFLiteConverter.from_concrete_functions([one]).convert())


def application(name, path):
    import keras

    keras.utils.set_random_seed(1)
    getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)).save(path)


def onnx_session(path, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def forward_onnxruntime(stem, threads):
    session = onnx_session(stem + ".onnx", threads)
    batch, *shape = session.get_inputs()[0].shape
    one, eight = (np.random.rand(n, *shape).astype(np.float32) for n in (1, 8))
    latency = median_ms(lambda: session.run(None, {"x": one}), 1)
    if batch != 1:
        return latency, min(latency, median_ms(lambda: session.run(None, {"x": eight}), 8))
    single = onnx_session(stem + ".onnx", 1)
    with ThreadPoolExecutor(threads) as pool:
        each = median_ms(lambda: list(pool.map(lambda _: single.run(None, {"x": one}), range(4 * threads))), 4 * threads)
    return latency, min(latency, each)


def forward_openvino(stem, threads):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(stem + ".onnx")
    shape = [1] + [d.get_length() for d in list(model.inputs[0].partial_shape)[1:]]
    model.reshape(shape)
    x = np.random.rand(*shape).astype(np.float32)
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", dict(hints, NUM_STREAMS=1)).create_infer_request()
    latency = median_ms(lambda: request.infer({0: x}), 1)
    queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", dict(hints, NUM_STREAMS=threads)), threads)

    def many():
        for _ in range(16):
            queue.start_async({0: x})
        queue.wait_all()

    return latency, min(latency, median_ms(many, 16))


def forward_litert(stem, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(stem + ".tflite", num_threads=threads)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.random.rand(*detail["shape"]).astype(np.float32))
    latency = median_ms(interpreter.invoke, 1)
    return latency, latency


def forward(stem, threads=None, narrow=""):
    """narrow: AVX2 only, which can be set for OpenVINO alone."""
    threads = int(threads or len(os.sched_getaffinity(0)))
    engines = {"ONNX Runtime": forward_onnxruntime, "OpenVINO": forward_openvino, "LiteRT": forward_litert}
    if narrow:
        os.environ["ONEDNN_MAX_CPU_ISA"] = narrow.upper()
        engines = {"OpenVINO, AVX2 only": forward_openvino}
    if not os.path.exists(stem + ".tflite"):
        engines.pop("LiteRT", None)
    print(json.dumps({name: call(stem, threads) for name, call in engines.items()}))


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


parts = {"convert": convert, "application": application, "forward": forward, "train": train, "predict-keras": predict_keras, "predict-onnx": predict_onnx,
         "head-data": head_data, "head": head}
if __name__ == "__main__":
    parts[sys.argv[1]](*sys.argv[2:])
