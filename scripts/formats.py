#!/usr/bin/env python3
"""Pictures written by Pillow, ImageMagick, ffmpeg, heif-enc, avifenc and cjxl: are they decoded as Pillow decodes them?

    scripts/formats.py PHOTO...        builds nothing; needs build/tests/bench-decode, those programs, pillow-heif and
                                       pillow-jxl-plugin. Prints one line for each ending: files, equal files, largest difference

Exit status 1: a file cannot be decoded, or the difference is larger than LIMIT.
"""
import glob
import io
import os
import subprocess
import sys
import tempfile

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (registers itself)
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
DECODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'build', 'tests', 'bench-decode')
# libheif repeats chroma samples of 4:2:0, and Pillow's libavif interpolates them; other versions of lossy codecs round otherwise
LIMIT = {'avif': 64, 'heic': 2, 'jxl': 2}
PILLOW = [('pil.jpg', dict(quality=90)), ('pil-progressive.jpg', dict(progressive=True, quality=70)), ('pil.webp', {}),
          ('pil-lossless.webp', dict(lossless=True)), ('pil-jpeg.tif', dict(compression='jpeg')),
          ('pil-lzw.tif', dict(compression='tiff_lzw')), ('pil.gif', {}), ('pil.bmp', {}), ('pil.ppm', {}),
          ('pil.heic', dict(quality=80)), ('pil.avif', dict(quality=80)), ('pil.jxl', dict(quality=80))]
PROGRAMS = [*(f'convert {{s}} {{b}}.im.{e}' for e in ('jpg', 'png', 'gif', 'webp', 'tif', 'bmp', 'ppm', 'pgm')),
            'convert {s} -depth 16 {b}.im16.png', 'convert {s} -depth 16 {b}.im16.tif', 'convert {s} -colors 30 {b}.im-palette.png',
            'convert {s} -compress zip -colorspace CMYK {b}.im-cmyk.tif',
            'convert {s} -interlace plane -sampling-factor 4:2:2 {b}.im422.jpg',
            *(f'ffmpeg -y -loglevel quiet -i {{s}} -frames:v 1 {{b}}.ff.{e}' for e in ('jpg', 'png', 'gif', 'webp', 'tiff', 'bmp', 'ppm')),
            'heif-enc -q 80 {s} -o {b}.he.heic', 'heif-enc -q 80 -p chroma=444 {s} -o {b}.he444.heic', 'heif-enc -A -q 80 {s} -o {b}.he.avif',
            'avifenc -s 9 {s} {b}.ae.avif', 'avifenc -s 9 -y 444 {s} {b}.ae444.avif', 'cjxl --quiet {s} {b}.cj.jxl',
            'cjxl --quiet -d 0 {s} {b}.cj-lossless.jxl']


def write_files(photo, base):
    image = Image.open(photo).convert('RGB').resize((161, 119))
    image.save(base + '.source.png')
    for ending, options in PILLOW:
        image.save(f'{base}.{ending}', **options)
    for program in PROGRAMS:
        subprocess.run(program.format(s=base + '.source.png', b=base).split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def difference(path):
    run = subprocess.run([DECODE, path], capture_output=True)
    if run.returncode:
        print(path, run.stderr.decode())
        return 256
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith('I'):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    want, got = np.asarray(image.convert('RGB')).astype(int), np.asarray(Image.open(io.BytesIO(run.stdout))).astype(int)
    return np.abs(want - got).max() if want.shape == got.shape else 256


def main():
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, photo in enumerate(sys.argv[1:]):
            write_files(photo, f'{folder}/{i}')
        for path in sorted(glob.glob(f'{folder}/*')):
            if '.source.' not in path:
                rows.setdefault(path.rsplit('.', 1)[1], []).append(difference(path))
    for ending, all_of in rows.items():
        print(f'{ending:5} {len(all_of):3} files, {sum(d == 0 for d in all_of):3} equal, largest difference {max(all_of)}')
    return any(max(d) > LIMIT.get(e, 0) for e, d in rows.items()) or not rows


if __name__ == '__main__':
    sys.exit(main())
