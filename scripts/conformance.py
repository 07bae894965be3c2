#!/usr/bin/env python3
"""Compares finetune with Keras. conformance.py [--only NAME,...] [--list] [--exact] [--binary PATH] [--keep DIR] [--pictures DIR]

Builds networks of keras.applications and EfficientNet-Lite with seeded random weights (networks.py) and saves them in every
container that Keras can write. Then runs `finetune features` on PNG pictures of exactly the input size of the network, and
compares with Keras on the same pixels. Prints one row for each network and container: the largest difference, relative to the
distance between features of different pictures (the root mean square over features of their standard deviation over pictures).
The limit is 1e-3. Exit status: 0 all within the limit, 1 not.

--exact also compares with the same network in Keras in double precision: finetune, finetune with FINETUNE_EXACT=1, and Keras in
single precision. The limit for FINETUNE_EXACT=1 is 1e-4, or 1.5 times the error of Keras in single precision.

--precisions adds two columns: the mean cosine between the features in float32 and in bf16, and in int8.

Containers:
    h5, keras     Keras 3, the whole model
    h5k2, kerask2 the same by tf_keras, which represents Keras 2
    weights       .weights.h5 of Keras 3
    legacy        weights by Keras 3 in the legacy layout
    legacyk2      the same by tf_keras
                  These three have the weights of the network without top, as they are published. finetune must recognise the
                  network and its preprocessing, and `info` must print its name.
    weightstop, legacytop, legacyk2top     with top
    back, backk2  a model that was trained on the backbone opens in Keras 3 and tf_keras and gives the probabilities of
                  `finetune predict` (to 1e-5, or twice the error of Keras in single precision)
    onnx          model.export(format="onnx") of Keras 3, which needs tf2onnx. finetune must also compute from it the features that it
                  computes from the .h5 of the same network (to 1e-5 of the largest; this figure comes last in the row)
    onnxout       a model that was trained on the backbone, exported by `finetune export`, gives in ONNX Runtime and in OpenVINO the
                  probabilities of `finetune predict` (to 1e-5)
    onnxhalf      the same with `--fp16 --uint8` (to 1e-2)
    kerasout      the model, exported as a .keras archive, gives these probabilities in Keras 3 (to 1e-5)
Each network runs in its own process. `conformance.py --presets ...` does the same for presets of KerasHub (conformance_presets.py).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import networks

N_PICTURES = 6
BESIDE = 1e-5  # largest difference between features from .onnx and from .h5, of the largest feature
OUT = {"onnxout": 1e-5, "onnxhalf": 1e-2, "kerasout": 1e-5}  # containers of exported models, and the largest difference of a probability


def pictures(folder, size, out):
    """N_PICTURES real pictures as PNG of size x size, and their pixels [n, size, size, 3]."""
    import numpy as np
    from PIL import Image
    found = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if len(found) < 2 * N_PICTURES:
        sys.exit("conformance: '%s': fewer than %d pictures" % (folder, 2 * N_PICTURES))
    chosen = [found[i * len(found) // (2 * N_PICTURES)] for i in range(2 * N_PICTURES)]
    pixels = []
    out.mkdir()
    for i, path in enumerate(chosen):
        image = Image.open(path).convert("RGB").resize((size, size), Image.BICUBIC)
        if i % 2 == 0:
            image.save(out / ("%02d.png" % i))
        pixels.append(np.asarray(image, np.float32))
    return np.stack(pixels[::2]), np.stack(pixels[1::2])


def call(binary, *arguments, exact=False):
    """(standard output, None), or (None, the last line of the error)."""
    env = dict(os.environ, FINETUNE_EXACT="1") if exact else os.environ
    done = subprocess.run([str(binary)] + [str(a) for a in arguments], capture_output=True, text=True, timeout=1800, env=env)
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "exit status %d" % done.returncode
    return done.stdout, None


def run_finetune(binary, file, folder, out, size=None, exact=False, layer=None):
    return features_of(binary, file, folder, out, [*(["--size", size] if size else []), *(["--layer", layer] if layer else [])], exact)


def features_of(binary, file, folder, out, more, exact=False):
    """Features [n, d] in the order of the names, or the text of an error."""
    import h5py
    import numpy as np
    _, wrong = call(binary, "features", folder, "--backbone", file, "--resize", "squash", "--no-cache", "--output", out, *more, exact=exact)
    if wrong:
        return wrong
    with h5py.File(out) as f:
        order = np.argsort([os.path.basename(p.decode() if isinstance(p, bytes) else p) for p in f["paths"][:]])
        return f["features"][:][order]


def spread(want):
    """The distance between features of different pictures."""
    import numpy as np
    return np.sqrt((want.std(axis=0) ** 2).mean())


def error(got, want):
    import numpy as np
    if isinstance(got, str):
        return got
    return "%d features instead of %d" % (got.shape[1], want.shape[1]) if got.shape != want.shape else float(np.abs(got - want).max() / spread(want))


def cosine(got, want):
    """The mean over pictures, or the text of an error."""
    import numpy as np
    return got if isinstance(got, str) else float(((got * want).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(want, axis=1)).mean())


def probabilities(module, model, pixels, work, floatx):
    """The features that Keras computes in another process, or the text of an error. The weights are those of the file, also in double precision."""
    import numpy as np
    code = ("import os,sys,numpy as np; os.environ['TF_CPP_MIN_LOG_LEVEL']='3'; sys.path.insert(0,'%s'); import networks; import %s as keras; "
            "networks.precision(keras,'%s'); load=getattr(keras,'saving',keras.models).load_model; m=load(sys.argv[1],compile=False); networks.quick_groups(m); "
            "np.save(sys.argv[3], np.asarray(m(np.load(sys.argv[2]).astype('%s'),training=False)))" % (ROOT / "scripts", module, floatx, floatx))
    out = work / ("back-%s.npy" % module)
    np.save(work / "pixels.npy", pixels)
    done = subprocess.run([sys.executable, "-c", code, str(model), str(work / "pixels.npy"), str(out)], capture_output=True, text=True)
    return module + ": " + done.stderr.strip().splitlines()[-1] if done.returncode else np.load(out)


def train(args, file, folder, work):
    """(the model, the pictures, None or an error)"""
    model, sides, names = work / "model.h5", work / "sides", sorted(folder.glob("*.png"))
    for i, png in enumerate(names):
        (sides / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        (sides / "ab"[i % 2] / png.name).write_bytes(png.read_bytes())
    _, wrong = call(args.binary, "train", sides, "--backbone", file, "--resize", "squash", "--folds", "2", "--no-cache", "--output", model)
    return model, names, wrong


def exported(args, file, folder, work, pixels, container):
    """Trains on the backbone and exports the model: the largest difference of a probability in ONNX Runtime and in OpenVINO, or in Keras 3."""
    import numpy as np
    import onnxruntime
    import openvino
    model, names, wrong = train(args, file, folder, work)
    out, wrong = (None, wrong) if wrong else call(args.binary, "predict", "--model", model, "--top", "2", "--json", *names)
    to = work / ("model.keras" if container == "kerasout" else "model.onnx")
    _, wrong = (None, wrong) if wrong else call(args.binary, "export", model, "-o", to, *(["--fp16", "--uint8"] if container == "onnxhalf" else []))
    if wrong:
        return wrong
    mine = np.array([[{t["label"]: t["probability"] for t in row["top"]}[c] for c in "ab"] for row in json.loads(out)])
    if container == "kerasout":
        theirs = probabilities("keras", to, pixels, work, "float32")
        return theirs if isinstance(theirs, str) else float(np.abs(theirs - mine).max())
    if container == "onnxhalf":
        pixels = pixels.astype(np.uint8)
    session = onnxruntime.InferenceSession(work / "model.onnx")
    compiled = openvino.Core().compile_model(work / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    theirs = [session.run(["probabilities"], {"image": pixels})[0], compiled({"image": pixels})[compiled.output("probabilities")]]
    return max(float(np.abs(t - mine).max()) for t in theirs)


def back_in_keras(args, file, folder, work, pixels):
    """Trains on the backbone, opens the model in Keras 3 and tf_keras: the largest difference of a probability. With --exact also from Keras 3 in
    double precision: ours, ours exact, Keras's."""
    import numpy as np
    model, names, wrong = train(args, file, folder, work)
    mine = []
    for exact in (False, True)[: 1 + args.exact]:
        out, wrong = (None, wrong) if wrong else call(args.binary, "predict", "--model", model, "--top", "2", "--json", *names, exact=exact)
        if not wrong:
            mine.append(np.array([[{t["label"]: t["probability"] for t in row["top"]}[c] for c in "ab"] for row in json.loads(out)]))
    if wrong:
        return wrong, []
    theirs = [probabilities(m, model, pixels, work, "float32") for m in ("keras", "tf_keras")]
    wrong = next((t for t in theirs if isinstance(t, str)), None)
    if wrong:
        return wrong, []
    double = probabilities("tf_keras", model, pixels, work, "float64") if args.exact else None
    others = [] if double is None or isinstance(double, str) else [float(np.abs(x - double).max()) for x in (*mine, theirs[0])]
    return max(float(np.abs(t - mine[0]).max()) for t in theirs), others


def save(keras, model, container, path):
    """Writes the file and returns its path."""
    kind = container.replace("k2", "").replace("top", "")
    path = path.with_suffix({"h5": ".h5", "keras": ".keras", "back": ".h5", "onnx": ".onnx", **dict.fromkeys(OUT, ".h5"), "weights": ".weights.h5", "legacy": ".h5"}[kind])
    if kind == "weights" or (kind == "legacy" and "k2" in container):
        model.save_weights(path)
    elif kind == "onnx":
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):  # Keras makes inputs of these two, without their values
                layer.mean, layer.variance = (keras.ops.convert_to_numpy(x) for x in (layer.mean, layer.variance))
        model.export(path, format="onnx", verbose=False)
    elif kind == "legacy":
        import h5py
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
        with h5py.File(path, "w") as f:
            save_weights_to_hdf5_group(f, model)
    else:
        model.save(path)
    return path


def input_size(args, name, container, size):
    """VGG's first Dense layer needs the published input size."""
    return 224 if container.endswith("top") and name.startswith("VGG") else args.size or size


def beside_h5(args, built, folder, work, got):
    """The largest difference between features [n, d] and those that finetune computes from the .h5, of the largest feature."""
    import numpy as np
    file = save(built.keras, built.model, "h5", work / built.name)
    want = features_of(args.binary, file, folder, work / "features.h5", [])
    file.unlink()
    return want if isinstance(want, str) else float(np.abs(got - want).max() / np.abs(want).max())


def compare(args, built, container, folder, work, pixels, row):
    want = built.features(pixels)
    size = None if built.make is networks.rgb else pixels.shape[1]
    start = time.time()
    file = save(built.keras, built.model, container, work / built.name)
    if container.startswith("back"):
        row["error"], row["others"] = back_in_keras(args, file, folder, work, pixels)
    elif container in OUT:
        row["error"] = exported(args, file, folder, work, pixels, container)
    else:
        more = ["--preprocess", "none"] if container == "onnx" else ["--size", size] if size else []
        got = features_of(args.binary, file, folder, work / "features.h5", more)
        row["error"], row["apart"] = error(got, want), float(spread(want) / (want**2).mean() ** 0.5)
        if container == "onnx" and not isinstance(row["error"], str):
            row["beside"] = beside_h5(args, built, folder, work, got)
        if args.precisions and not isinstance(got, str):
            row["cosines"] = [cosine(features_of(args.binary, file, folder, work / "features.h5", [*more, "--precision", p]), got) for p in ("bf16", "int8")]
        if args.exact and not isinstance(got, str):
            double = built.features64(pixels)
            row["others"] = [] if double is None else [error(x, double) for x in (got, run_finetune(args.binary, file, folder, work / "features.h5", size, exact=True), want)]
    if size:
        out, wrong = call(args.binary, "info", "--json", "--size", size, file)
        row["name"] = wrong or json.loads(out)["backbone"]
    file.unlink()
    row["seconds"] = time.time() - start


def measure(name, size, args):
    """One row for each container."""
    seen, built, key = {}, None, None
    for container in sorted(args.containers.split(","), key=lambda c: ("k2" in c, c.endswith("top"), c.startswith(("weights", "legacy")))):
        if "k2" in container:
            import tf_keras as keras
        else:
            import keras
        make = networks.topped if container.endswith("top") else networks.bare if container.startswith(("weights", "legacy")) else networks.rgb
        side = input_size(args, name, container, size)
        row = {"network": name, "file": container, "size": side}
        with tempfile.TemporaryDirectory(dir=args.keep) as work:
            folder = Path(work) / "pictures"
            pixels, calibrating = pictures(args.pictures, side, folder)
            if key != (keras, make):
                built, key = None, (keras, make)
                keras.backend.clear_session()
                built = networks.Built(keras, make, name, side, calibrating)
            compare(args, built, container, folder, Path(work), pixels, row)
        yield row


def judge(row):
    """The fault of a row, or None. If the rounding error of single precision is larger than the tolerance, the error may be as large as that of Keras."""
    wrong = next((row[k] for k in ("error", "beside") if isinstance(row.get(k), str)), None)
    if wrong:
        return wrong
    if row.get("beside", 0) > BESIDE:
        return "too far from the .h5"
    back = row["file"].startswith(("back", *OUT))
    wanted, ours, exact, keras = OUT.get(row["file"], 1e-5 if back else 1e-3), row["error"], None, 0
    if row.get("others"):
        ours, exact, keras = row["others"]
    if min(ours, row["error"]) > max(wanted, 2 * keras):
        return "too far"
    if exact is not None and not back and (isinstance(exact, str) or exact > max(1e-4, 1.5 * keras)):
        return "too far when exact"
    return "recognised as %s" % row["name"] if row.get("name", row["network"].lower()) != row["network"].lower() else None


def show(row, wrong):
    text = "    -   " if isinstance(row["error"], str) else "%8.1e" % row["error"]
    others = "".join(" %8.1e" % o if not isinstance(o, str) else " %8s" % "-" for o in row.get("others", []))
    others += "".join("        -" if isinstance(c, str) else " %8.4f" % c for c in row.get("cosines", []))
    beside = " %8.1e" % row["beside"] if isinstance(row.get("beside"), float) else ""
    print("%-22s %-12s %4d %s%s %8.3f %6.1f%s%s" % (row["network"], row["file"], row["size"], text, others, row.get("apart", 0), row["seconds"], beside,
                                                   "  <-- " + wrong if wrong else ""), flush=True)


def main():
    if "--presets" in sys.argv:
        import conformance_presets
        return conformance_presets.main([a for a in sys.argv[1:] if a != "--presets"])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="beginnings of names, with commas; =NAME for that one; default: all")
    parser.add_argument("--containers", default="h5,h5k2,back", help="see above")
    parser.add_argument("--exact", action="store_true", help="also in double precision: finetune, finetune with FINETUNE_EXACT=1, Keras")
    parser.add_argument("--precisions", action="store_true", help="also in bf16 and in int8")
    parser.add_argument("--small", action="store_true", help="the smallest of each family")
    parser.add_argument("--size", type=int, help="another input size")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--binary", default=ROOT / "build" / "cli" / "finetune")
    parser.add_argument("--pictures", default=ROOT / "tests" / "data")
    parser.add_argument("--keep", help="folder for temporary files")
    args = parser.parse_args()
    only = [o.lower() for o in args.only.split(",") if o]
    chosen = [(n, s) for n, s, other in networks.NETWORKS if not (other and args.small) and
              (not only or any(n.lower().startswith(o) or "=" + n.lower() == o for o in only))]
    if args.list:
        print("\n".join(n for n, _ in chosen))
        return 0
    if len(chosen) > 1:
        head = True
        bad = False
        for name, _ in chosen:
            bad |= bool(subprocess.run([sys.executable, *without_only(sys.argv), "--only", "=" + name], env=dict(os.environ, CONFORMANCE_HEAD="" if head else "no")).returncode)
            head = False
        return bad
    if os.environ.get("CONFORMANCE_HEAD") != "no":
        print("%-22s %-12s %4s %8s%s %8s %6s" % ("network", "file", "size", "error", ("     f64    exact    keras" if args.exact else "") + ("     bf16     int8" if args.precisions else ""), "apart", "s"), flush=True)
    bad = False
    for name, size in chosen:
        for row in measure(name, size, args):
            wrong = judge(row)
            bad |= bool(wrong)
            show(row, wrong)
    return bad


def without_only(argv):
    out, skip = [], False
    for a in argv:
        if not skip and not a.startswith("--only"):
            out.append(a)
        skip = a == "--only"
    return out


if __name__ == "__main__":
    sys.exit(main())
