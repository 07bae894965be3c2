#!/usr/bin/env python3
"""Expected pixels for tests/unit/image.c, from Pillow (13 or later), and the bad pictures of tests/bad.

    scripts/golden_image.py          writes tests/golden/image/ and the generated pictures of tests/bad/;
                                     FT_SHARED_DATA is the folder that contains cats-vs-dogs

tests/golden/image/index has one line for each case. The pixels are in the same folder as raw RGB:
    decode  FILE EXPECTED width height tolerance
    resize  FILE EXPECTED width height filter x0 y0 x1 y1
    prepare FILE EXPECTED width height rule filter crop
    reduced FILE EXPECTED width height eighths     from a full decode; the decoder may use a reduced scale (crop, bicubic)
    facts   FILE - width height brightness contrast sharpness quality print      brightness and the like as NumPy computes them
"""
import io
import os
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

import golden_formats

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests')
OUT = os.path.join(ROOT, 'golden', 'image')
BAD = os.path.join(ROOT, 'bad')
PHOTOS = os.environ.get('FT_SHARED_DATA', os.path.join(ROOT, '..', '..', 'shared', 'data'))
FILTERS = {'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC}
index = []


def write(folder, name, data):
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(data)
    return name


def scene(width, height, seed=5):
    """Smooth colours with sharp edges and some grain: [height, width, 3] u8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    a = np.stack([128 + 100 * np.sin(x / 5 + y / 9), 255 * x / width, 128 + 120 * np.cos(y / 4)], -1)
    a[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 4) ** 2] = (250, 20, 40)
    a[: height // 4, : width // 5] = (0, 0, 0)
    return np.clip(a + rng.normal(0, 6, a.shape), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def packed(samples, depth):
    """[height, width * channels] samples to filtered rows (filter 0) of `depth` bits."""
    rows = b''
    for row in samples:
        if depth == 16:
            data = row.astype('>u2').tobytes()
        else:
            bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth:]
            data = np.packbits(bits.ravel()).tobytes()
        rows += b'\0' + data
    return rows


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(samples, depth, colour, interlaced=False, extra=b'', late=b''):
    """samples [height, width, channels] to the bytes of a PNG file; `extra` are chunks before IDAT, `late` after it."""
    height, width, channels = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b''
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            rows += packed(part.reshape(part.shape[0], -1), depth)
    head = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, int(interlaced))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + extra + chunk(b'IDAT', zlib.compress(rows, 9)) + late + chunk(b'IEND', b'')


def pixels(data):
    """The picture as decoded by Pillow: upright, the high byte of 16 bits, over white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode.startswith('I'):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGB', image.size, 'white')
        white.paste(image, mask=image.getchannel('A'))
        return np.asarray(white)
    return np.asarray(image.convert('RGB'))


def decode_case(name, data, expected=None, tolerance=0, expected_name=None):
    if expected is None:
        want = pixels(data)
        expected = write(OUT, expected_name or name.rsplit('.', 1)[0] + '.rgb', want.tobytes())
    else:
        want = pixels(data)
    write(OUT, name, data)
    index.append(f'decode {name} {expected} {want.shape[1]} {want.shape[0]} {tolerance}')


def jpeg(a, **options):
    out = io.BytesIO()
    image = a if isinstance(a, Image.Image) else Image.fromarray(a)
    image.save(out, 'JPEG', **options)
    return out.getvalue()


def jpegs():
    a = scene(27, 21)
    image = Image.fromarray(a)
    for name, options in {
        '444': dict(subsampling=0), '422': dict(subsampling=1), '420': dict(subsampling=2), '411': dict(subsampling='4:1:1'),
        'progressive': dict(progressive=True), 'restart': dict(restart_marker_blocks=1), 'stored-rgb': dict(keep_rgb=True),
        'quality-5': dict(quality=5),
    }.items():
        decode_case(f'{name}.jpg', jpeg(a, **options))
    decode_case('grey.jpg', jpeg(image.convert('L')))
    decode_case('extraneous.jpg', jpeg(a)[:-2] + b'abc\xff\xd9')
    cmyk = Image.merge('CMYK', [*image.split(), Image.fromarray(scene(27, 21, 6)[:, :, 2])])
    data = jpeg(cmyk, quality=92)
    decode_case('cmyk.jpg', data)
    at = data.index(b'Adobe') + 11
    assert data[at] == 0
    decode_case('ycck.jpg', data[:at] + b'\2' + data[at + 1:])
    app14 = data.index(b'\xff\xee')
    length = struct.unpack('>H', data[app14 + 2:app14 + 4])[0]
    decode_case('cmyk-without-adobe.jpg', data[:app14] + data[app14 + 2 + length:])


def pngs():
    a = scene(21, 14)
    grey = a[:, :, 1:2]
    alpha = scene(21, 14, 7)[:, :, :1]
    wide = a.astype(np.uint16) * 256 + scene(21, 14, 8)
    rgba, la = np.concatenate([a, alpha], -1), np.concatenate([grey, alpha], -1)
    palette = chunk(b'PLTE', np.random.default_rng(1).integers(0, 256, (16, 3), dtype=np.uint8).tobytes())
    short_palette = lambda n: chunk(b'PLTE', palette[8:8 + 3 * n])
    for depth in (1, 2, 4, 8):
        decode_case(f'grey{depth}.png', png(grey >> (8 - depth), depth, 0))
        if depth < 8:
            decode_case(f'palette{depth}.png', png(grey >> (8 - depth), depth, 3, extra=short_palette(1 << depth)))
    trns = chunk(b'tRNS', bytes([0, 30, 255, 128, 77]))
    decode_case('palette-trns.png', png(grey >> 4, 4, 3, extra=palette + trns))
    decode_case('palette8.png', png(grey >> 4, 8, 3, True, extra=palette))
    decode_case('rgb.png', png(a, 8, 2))
    decode_case('rgb-interlaced.png', png(a, 8, 2, True))
    decode_case('rgba.png', png(rgba, 8, 6))
    decode_case('rgba-interlaced.png', png(rgba, 8, 6, True))
    decode_case('la.png', png(la, 8, 4))
    decode_case('rgb-trns.png', png(a, 8, 2, extra=chunk(b'tRNS', struct.pack('>HHH', *[int(v) for v in a[7, 10]]))))
    decode_case('grey-trns.png', png(grey, 8, 0, extra=chunk(b'tRNS', struct.pack('>H', int(grey[7, 10, 0])))))
    # Pillow compares the transparent grey of 2 bits with one of 8; what the specification says is simple enough
    write(OUT, 'grey2-trns.png', png(grey >> 6, 2, 0, extra=chunk(b'tRNS', struct.pack('>H', 2))))
    write(OUT, 'grey2-trns.rgb', np.repeat(np.where(grey >> 6 == 2, 255, (grey >> 6) * 85), 3, -1).astype(np.uint8).tobytes())
    index.append('decode grey2-trns.png grey2-trns.rgb 21 14 0')
    decode_case('grey16.png', png(wide[:, :, :1], 16, 0))
    decode_case('rgb16.png', png(wide, 16, 2))
    decode_case('rgba16.png', png(np.concatenate([wide, wide[:, :, :1]], -1), 16, 6, True))
    decode_case('la16.png', png(wide[:, :, :2], 16, 4))
    # what does not change the pixels does not matter, even when it is damaged (Pillow would rather not open the first of these)
    damaged = bytearray(chunk(b'tEXt', b'Comment\0hello'))
    damaged[-1] ^= 1
    write(OUT, 'damaged-text.png', png(a, 8, 2, extra=bytes(damaged)))
    index.append('decode damaged-text.png rgb.rgb 21 14 0')
    decode_case('without-end.png', png(a, 8, 2)[:-12], 'rgb.rgb')


def exif(orientation, order='>', long=False):
    mark = b'MM\0*' if order == '>' else b'II*\0'
    value = struct.pack(order + 'I', orientation) if long else struct.pack(order + 'HH', orientation, 0)
    return mark + struct.pack(order + 'IH', 8, 1) + struct.pack(order + 'HHI', 0x112, 4 if long else 3, 1) + value + struct.pack(order + 'I', 0)


def xmp(orientation, element=False):
    tag = f'><tiff:Orientation>{orientation}</tiff:Orientation></rdf:Description>' if element else f' tiff:Orientation="{orientation}"/>'
    return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{tag}</rdf:RDF></x:xmpmeta>').encode()


# the transposition that stores an upright picture in this orientation
STORE = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE, 6: Image.ROTATE_90,
         7: Image.TRANSVERSE, 8: Image.ROTATE_270}


def orientations():
    upright = Image.fromarray(scene(32, 16, 9))
    upright_pixels = write(OUT, 'upright.rgb', upright.tobytes())
    for n in range(1, 9):
        stored = upright.transpose(STORE[n]) if n > 1 else upright
        order, a = '<>'[n % 2], np.asarray(stored)
        block = chunk(b'eXIf', exif(n, order))
        data = png(a, 8, 2, extra=block) if n % 3 else png(a, 8, 2, late=block)
        assert (pixels(data) == np.asarray(upright)).all()
        decode_case(f'orientation{n}.png', data, upright_pixels)
        decode_case(f'orientation{n}.jpg', jpeg(stored, exif=b'Exif\0\0' + exif(n, order), subsampling=0, quality=85))
    decode_case('orientation9.png', png(np.asarray(upright), 8, 2, extra=chunk(b'eXIf', exif(9))), upright_pixels)
    stored = upright.transpose(STORE[6])
    text = lambda packet: chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + packet)
    for order in '<>':
        decode_case(f'orientation-long-{"big" if order == ">" else "little"}.jpg', jpeg(stored, exif=b'Exif\0\0' + exif(6, order, True), subsampling=0))
    decode_case('orientation-xmp.jpg', jpeg(stored, xmp=xmp(6), subsampling=0))
    decode_case('orientation-xmp-element.jpg', jpeg(stored, xmp=xmp(6, True), subsampling=0))
    decode_case('orientation-exif-and-xmp.jpg', jpeg(stored, exif=b'Exif\0\0' + exif(6), xmp=xmp(3), subsampling=0))
    decode_case('orientation-xmp.png', png(np.asarray(stored), 8, 2, extra=text(xmp(6))), upright_pixels)
    decode_case('orientation-xmp-late.png', png(np.asarray(stored), 8, 2, late=text(xmp(6, True))), upright_pixels)


def resizes():
    for name, (w, h) in {'wide': (61, 37), 'tall': (29, 71)}.items():
        a = scene(w, h, 11)
        write(OUT, f'{name}.png', png(a, 8, 2))
        image = Image.fromarray(a)
        boxes = ((0, 0, w, h), (3.25, 5.5, w - 4.125, h - 2.75), (w - 9, 2, w, 11), (1, h - 3.5, 2.25, h))
        for i, (box, size) in enumerate(zip(boxes * 3, ((24, 24), (17, 30), (40, 12), (5, 4), (1, 1), (70, 20), (12, 33), (9, 80)))):
            for f, filter in FILTERS.items():
                expected = write(OUT, f'{name}-{i}-{f}.rgb', image.resize(size, filter, box).tobytes())
                index.append(f'resize {name}.png {expected} {size[0]} {size[1]} {f} ' + ' '.join(map(str, box)))


def prepare_case(name, image, size, rule, filter, crop):
    w, h = image.size
    W, H = size
    if rule == 'pad':
        want = ImageOps.pad(image, size, FILTERS[filter], color=(0, 0, 0))
    else:
        unit = min(w / W, h / H) * crop
        bw, bh = (unit * W, unit * H) if rule == 'crop' else (w, h)
        x, y = (w - bw) / 2, (h - bh) / 2
        want = image.resize(size, FILTERS[filter], (x, y, x + bw, y + bh))
    expected = write(OUT, f'{name}-{rule}-{W}x{H}-{filter}.rgb', want.tobytes())
    index.append(f'prepare {name}.png {expected} {W} {H} {rule} {filter} {crop}')


def prepares():
    for name in ('wide', 'tall'):
        image = Image.open(os.path.join(OUT, f'{name}.png'))
        for size in ((24, 24), (20, 31)):
            prepare_case(name, image, size, 'crop', 'bicubic', 0.875)
            prepare_case(name, image, size, 'squash', 'bilinear', 1)
            prepare_case(name, image, size, 'pad', 'bicubic', 1)
    prepare_case('grey8', Image.open(os.path.join(OUT, 'grey8.png')).convert('RGB'), (16, 16), 'crop', 'bicubic', 1)




def reduced():
    """Sides that are not a multiple of 8 leave a partial last column and row, which come first in some orientations."""
    photo = Image.open(os.path.join(PHOTOS, 'cats-vs-dogs', 'train', 'cat', 'cat.0.jpg'))
    photo = photo.convert('RGB').resize((203, 149), Image.BICUBIC)
    for n, size, eighths in ((1, 30, 4), (1, 12, 2), (1, 9, 1), (3, 12, 2), (6, 12, 2), (8, 12, 2)):
        stored = photo.transpose(STORE[n]) if n > 1 else photo
        data = jpeg(stored, exif=b'Exif\0\0' + exif(n), quality=85, progressive=n == 8)
        reduced_case(f'photo{n}.jpg', data, size, eighths)
    for size, eighths in ((12, 2), (9, 1)):
        out = io.BytesIO()
        photo.transpose(STORE[6]).save(out, 'WEBP', quality=85, exif=b'Exif\0\0' + exif(6))
        reduced_case('photo6.webp', out.getvalue(), size, eighths)


def reduced_case(name, data, size, eighths):
    write(OUT, name, data)
    upright = Image.fromarray(pixels(data))
    w, h = upright.size
    box = ((w - min(w, h)) / 2, (h - min(w, h)) / 2, (w + min(w, h)) / 2, (h + min(w, h)) / 2)
    expected = write(OUT, f'{name.replace(".jpg", "")}-{size}.rgb', upright.resize((size, size), Image.BICUBIC, box).tobytes())
    index.append(f'reduced {name} {expected} {size} {size} {eighths}')


# How far lossy formats may be from Pillow's decoders: other versions of the same libraries round otherwise.
TOLERANCE = {'q95.avif': 2, 'alpha.avif': 2, 'orientation6.avif': 2, 'lossy.jxl': 2, 'q95.heic': 2, 'alpha.heic': 2, 'orientation6.heic': 2}


def formats():
    for name, data in golden_formats.cases(scene, exif, xmp):
        decode_case(name, data, tolerance=TOLERANCE.get(name, 0), expected_name=name + '.rgb')


def luma(a):
    return a.astype(float) @ (0.299, 0.587, 0.114)


def facts():
    """Mean and deviation of luma, variance of its Laplacian, and the perceptual hash of lib/image/facts.c."""
    k = np.arange(32)
    dct = np.cos(np.pi * np.outer(k[:8], 2 * k + 1) / 64)
    for name, quality in (('420.jpg', 75), ('cmyk.jpg', 92), ('rgb.png', 0), ('orientation6.jpg', 85)):
        with open(os.path.join(OUT, name), 'rb') as f:
            a = pixels(f.read())
        v = luma(a)
        edges = v[1:-1, :-2] + v[1:-1, 2:] + v[:-2, 1:-1] + v[2:, 1:-1] - 4 * v[1:-1, 1:-1]
        small = luma(np.asarray(Image.fromarray(a).resize((32, 32), Image.BICUBIC)))
        low = (dct @ small @ dct.T).ravel()
        bits = sum(1 << i for i in range(1, 64) if low[i] > np.median(low[1:]))
        index.append(f'facts {name} - {a.shape[1]} {a.shape[0]} {v.mean():.6f} {v.std():.6f} {edges.var():.6f} {quality} {bits:016x}')


def bad():
    photo, picture = jpeg(scene(64, 48)), png(scene(64, 48), 8, 2)
    write(BAD, 'zero-bytes.jpg', b'')
    write(BAD, 'text.jpg', b'This is a text, whatever its name says.\n')
    write(BAD, 'psd.jpg', b'8BPS\0\1' + bytes(40))
    write(BAD, 'truncated.jpg', photo[:len(photo) * 2 // 3])
    write(BAD, 'truncated-progressive.jpg', jpeg(scene(64, 48), progressive=True)[:-60])
    write(BAD, 'header-only.jpg', photo[:20])
    write(BAD, 'hole.jpg', photo[:len(photo) * 2 // 3] + b'\xff\xd9')
    at = photo.index(b'\xff\xc0')
    write(BAD, 'absurd-size.jpg', photo[:at + 5] + b'\xff\xdc\xff\xdc' + photo[at + 9:])
    write(BAD, 'claims-too-much.jpg', photo[:at + 5] + b'\x27\x10\x27\x10' + photo[at + 9:])
    write(BAD, 'twelve-bits.jpg', photo[:at + 1] + b'\xc1' + photo[at + 2:at + 4] + b'\x0c' + photo[at + 5:])
    write(BAD, 'cut.png', picture[:len(picture) // 2])
    write(BAD, 'bomb.png', b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 65535, 65535, 16, 6, 0, 0, 0)))
    write(BAD, 'claims-too-much.png', png(scene(64, 48), 8, 2).replace(
        picture[8:33], chunk(b'IHDR', struct.pack('>IIBBBBB', 16000, 16000, 8, 2, 0, 0, 0))))
    write(BAD, 'no-pixels.png', picture.replace(picture[8:33], chunk(b'IHDR', struct.pack('>IIBBBBB', 0, 48, 8, 2, 0, 0, 0))))
    wrong = bytearray(picture)
    wrong[picture.index(b'IDAT') + 200] ^= 4
    write(BAD, 'bad-data.png', bytes(wrong))
    wrong = bytearray(picture)
    wrong[-13] ^= 1
    write(BAD, 'bad-crc.png', bytes(wrong))
    write(BAD, 'no-palette.png', png(scene(8, 8)[:, :, :1], 8, 3))
    for name, data in golden_formats.bad(scene):
        write(BAD, name, data)


def main():
    for folder in (OUT, BAD):
        os.makedirs(folder, exist_ok=True)
    for part in (jpegs, pngs, orientations, resizes, prepares, reduced, formats, facts, bad):
        part()
    write(OUT, 'index', ('\n'.join(index) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
