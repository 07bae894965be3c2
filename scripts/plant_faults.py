#!/usr/bin/env python3
"""Plants faults in copies of a folder of photographs and counts what `finetune doctor` finds: plant_faults.py FINETUNE DIR

Labels: 2 % are changed; how many are among the first 40 listed. Near duplicates: 20 pictures re-encoded, resized, cropped by 5 %, or
all three; how many pairs are found, and how many other pairs are listed. Shortcut: the last class saved again at JPEG quality 30.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from PIL import Image


def doctor(finetune, folder):
    run = subprocess.run([finetune, "doctor", folder, "--json", "-q"], capture_output=True, check=False)
    return json.loads(run.stdout)


def flipped(finetune, source, folder, rng):
    shutil.copytree(source, folder)
    classes = sorted(os.listdir(source))
    wrong = set()
    for i, c in enumerate(classes):
        names = sorted(os.listdir(os.path.join(source, c)))
        for name in rng.sample(names, len(names) // 50):
            to = os.path.join(folder, classes[(i + 1) % len(classes)], "wrong-" + name)
            os.rename(os.path.join(folder, c, name), to)
            wrong.add(to)
    first = [row["path"] for row in doctor(finetune, folder)["mislabelled"]][:40]
    return f"{len(wrong & set(first))} of {len(wrong)} wrong labels among the first {len(first)}"


def near(finetune, source, folder, rng, count=20):
    shutil.copytree(source, folder)
    every = [(c, name) for c in sorted(os.listdir(source)) for name in sorted(os.listdir(os.path.join(source, c)))]
    planted = set()
    for i, (c, name) in enumerate(rng.sample(every, count)):
        image = Image.open(os.path.join(source, c, name)).convert("RGB")
        how = ("encode", "resize", "crop", "all")[i % 4]
        if how in ("crop", "all"):
            dx, dy = image.width // 20, image.height // 20
            x, y = rng.randint(0, dx), rng.randint(0, dy)
            image = image.crop((x, y, x + image.width - dx, y + image.height - dy))
        if how in ("resize", "all"):
            scale = rng.choice([0.5, 0.7, 1.5])
            image = image.resize((int(image.width * scale), int(image.height * scale)), Image.BICUBIC)
        path = os.path.join(folder, c, f"planted-{i}.jpg")
        image.save(path, quality=60 if how in ("encode", "all") else 85)
        planted.add(frozenset((os.path.join(folder, c, name), path)))
    found = {frozenset((row["a"], row["b"])) for row in doctor(finetune, folder)["near_duplicates"]}
    return f"{len(found & planted)} of {count} near duplicates, {len(found - planted)} other pairs"


def shortcut(finetune, source, folder, rng):
    shutil.copytree(source, folder)
    last = os.path.join(folder, sorted(os.listdir(source))[-1])
    for name in os.listdir(last):
        Image.open(os.path.join(last, name)).convert("RGB").save(os.path.join(last, name), quality=30)
    return ", ".join(f"{row['feature']} {row['auc']:.2f}" for row in doctor(finetune, folder)["shortcuts"]) or "none"


def main():
    finetune, source = sys.argv[1:3]
    for seed in range(3):
        rng = random.Random(seed)
        with tempfile.TemporaryDirectory() as scratch:
            print(f"seed {seed}: {flipped(finetune, source, scratch + '/flipped', rng)}; {near(finetune, source, scratch + '/near', rng)};",
                  f"shortcuts: {shortcut(finetune, source, scratch + '/short', rng)}", flush=True)


if __name__ == "__main__":
    main()
