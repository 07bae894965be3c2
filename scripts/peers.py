#!/usr/bin/env python3
"""What scripts/bench times against: the same work as a Python user does it today. peers.py PART ARGUMENT ...

    convert MODEL.h5 STEM        -> STEM.onnx, STEM.tflite, for the other parts
    application NAME OUT.h5      a network of keras.applications, no top, average pooling, seeded random weights
    forward STEM [THREADS]       prints JSON {engine: [latency ms, throughput ms/image]}
    train BACKBONE.h5 DIR        Keras features, scikit-learn head
    predict-keras MODEL.h5 PICTURE
    predict-onnx MODEL.onnx PICTURE
"""
import json
import os
import sys
import time

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
    shape = session.get_inputs()[0].shape[1:]
    one, eight = (np.random.rand(n, *shape).astype(np.float32) for n in (1, 8))
    latency = median_ms(lambda: session.run(None, {"x": one}), 1)
    return latency, min(latency, median_ms(lambda: session.run(None, {"x": eight}), 8))


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


def forward(stem, threads=None):
    threads = int(threads or len(os.sched_getaffinity(0)))
    engines = {"ONNX Runtime": forward_onnxruntime, "OpenVINO": forward_openvino, "LiteRT": forward_litert}
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


parts = {"convert": convert, "application": application, "forward": forward, "train": train, "predict-keras": predict_keras, "predict-onnx": predict_onnx}
parts[sys.argv[1]](*sys.argv[2:])
