"""Pictures in the formats beside JPEG and PNG, for scripts/golden_image.py: cases() and bad().

Needs Pillow with pillow-heif and pillow-jxl-plugin, and ImageMagick's `convert` for kinds of TIFF that Pillow does not write.
"""
import io
import struct
import subprocess
import tempfile

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (registers itself)
from PIL import Image

pillow_heif.register_heif_opener()


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def magick(image, name, *arguments):
    """`image` (a PIL image, or a 16-bit array as PPM bytes) converted by ImageMagick."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/in', 'wb') as f:
            f.write(image if isinstance(image, bytes) else saved(image, 'PNG'))
        subprocess.run(['convert', f'{folder}/in', *arguments, f'{folder}/{name}'], check=True)
        with open(f'{folder}/{name}', 'rb') as f:
            return f.read()


# ---- WebP

def riff(kind, data):
    return kind + struct.pack('<I', len(data)) + data + b'\0' * (len(data) % 2)


def u24(n):
    return struct.pack('<I', n)[:3]


def animated_webp(frame, width, height, x, y):
    """`frame` (a PIL image) at (x, y) of a canvas, then the same at (0, 0)."""
    picture = saved(frame, 'WEBP', lossless=True)[12:]
    chunks = riff(b'VP8X', struct.pack('<I', 0x12) + u24(width - 1) + u24(height - 1)) + riff(b'ANIM', b'\x10\x20\x30\xff\0\0')
    for left, top in ((x, y), (0, 0)):
        head = u24(left // 2) + u24(top // 2) + u24(frame.width - 1) + u24(frame.height - 1) + u24(100) + b'\2'
        chunks += riff(b'ANMF', head + picture)
    return b'RIFF' + struct.pack('<I', len(chunks) + 4) + b'WEBP' + chunks


def webp(rgb, rgba, exif, xmp):
    yield 'lossless.webp', saved(rgb, 'WEBP', lossless=True)
    yield 'lossless-alpha.webp', saved(rgba, 'WEBP', lossless=True, exact=True)
    yield 'lossy.webp', saved(rgb, 'WEBP', quality=70)
    yield 'lossy-alpha.webp', saved(rgba, 'WEBP', quality=70)
    yield 'exif.webp', saved(rgb, 'WEBP', lossless=True, exif=b'Exif\0\0' + exif(6))
    yield 'xmp.webp', saved(rgb, 'WEBP', lossless=True, xmp=xmp(8))
    yield 'animated.webp', saved(rgb, 'WEBP', save_all=True, append_images=[rgba.convert('RGB').rotate(180)], lossless=True)
    yield 'animated-part.webp', animated_webp(rgb, 40, 32, 6, 4)


# ---- GIF

def gif_frames(indexed, screen, at, colours=None, transparent=None):
    """A GIF of one frame, placed at `at`; colours: palette bytes (global)."""
    def lzw(data):  # nothing but clear codes and literals of 9 bits
        bits, n = 0, 0
        for i, v in enumerate(data):
            for code in ([256, v] if i % 100 == 0 else [v]):
                bits |= code << n
                n += 9
        bits |= 257 << n
        body = bits.to_bytes((n + 9 + 7) // 8, 'little')
        return b'\x08' + b''.join(bytes([len(body[i:i + 255])]) + body[i:i + 255] for i in range(0, len(body), 255)) + b'\0'
    head = b'GIF89a' + struct.pack('<HHBBB', *screen, 0xf7 if colours else 0, 3, 0) + (colours or b'')
    if transparent is not None:
        head += b'!\xf9\x04' + bytes([1, 0, 0, transparent]) + b'\0'
    height, width = indexed.shape
    return head + b',' + struct.pack('<HHHHB', *at, width, height, 0) + lzw(indexed.ravel().tolist()) + b';'


def gif(rgb, rgba, exif, xmp):
    indexed = rgb.quantize(60)
    yield 'palette.gif', saved(indexed, 'GIF', interlace=0)
    yield 'interlaced.gif', saved(indexed, 'GIF', interlace=1)
    yield 'transparent.gif', saved(indexed, 'GIF', transparency=7)
    yield 'grey.gif', saved(rgb.convert('L'), 'GIF')
    yield 'animated.gif', saved(indexed, 'GIF', save_all=True, append_images=[rgba.convert('RGB').quantize(50)], duration=100, loop=0)
    part = np.asarray(rgb.convert('L'))
    colours = np.random.default_rng(4).integers(0, 256, (256, 3), dtype=np.uint8).tobytes()
    yield 'part.gif', gif_frames(part, (40, 30), (6, 5), colours)
    yield 'part-transparent.gif', gif_frames(part, (40, 30), (6, 5), colours, int(part[3, 4]))
    yield 'beyond-screen.gif', gif_frames(part, (20, 20), (3, 2), colours)
    yield 'no-palette.gif', gif_frames(part, (27, 21), (0, 0))


# ---- BMP

def bmp_file(width, height, bits, pixels, compression=0, palette=b'', masks=b'', header=40, colours=0):
    if header == 12:
        head = struct.pack('<IHHHH', 12, width, height, 1, bits)
    else:
        head = struct.pack('<IiiHHIIiiII', header, width, height, 1, bits, compression, len(pixels), 2835, 2835, colours, 0)
        head += (masks + bytes(header))[:header - 40] if header > 40 else masks
    offset = 14 + len(head) + len(palette)
    return b'BM' + struct.pack('<IHHI', offset + len(pixels), 0, 0, offset) + head + palette + pixels


def rows_of(samples, padding=4):
    """[height, bytes] rows, bottom up, filled up to 4 bytes."""
    data = b''
    for row in samples[::-1]:
        row = row.tobytes()
        data += row + bytes(-len(row) % padding)
    return data


def packed(indices, bits):
    """[height, width] indices to [height, bytes]."""
    planes = np.unpackbits(indices.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits:]
    return np.packbits(planes.reshape(len(indices), -1), axis=1)


def runs(indices, four):
    """Runs, single pixels, an early end of a line and a jump."""
    data = b''
    for y, row in enumerate(indices[::-1]):
        row = row.tolist()
        if y == 2:
            data += b'\0\2\5\0'  # five pixels further
            row = row[5:]
        if y == 4:
            row = row[:10]
        while row:
            n = 1
            while n < len(row) and row[n] == row[0] and n < 255:
                n += 1
            if n == 1 and len(row) > 5:
                single = row[:5]
                body = bytes(single) if not four else bytes([single[0] << 4 | single[1], single[2] << 4 | single[3], single[4] << 4])
                data += b'\0\5' + body + bytes(len(body) % 2)
                row = row[5:]
            else:
                data += bytes([n, row[0] << 4 | row[0] if four else row[0]])
                row = row[n:]
        data += b'\0\0'
    return data[:-2] + b'\0\1'


def bmp(rgb, rgba, exif, xmp):
    a, alpha = np.asarray(rgb).astype(np.uint32), np.asarray(rgba)
    height, width = a.shape[:2]
    grey = a[:, :, 1]
    colours = np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)
    palette = lambda n: b''.join(bytes(c[::-1]) + b'\0' for c in colours[:n])
    yield 'rgb24.bmp', saved(rgb, 'BMP')
    yield 'grey8.bmp', saved(rgb.convert('L'), 'BMP')
    for bits in (1, 4, 8):
        yield f'palette{bits}.bmp', bmp_file(width, height, bits, rows_of(packed(grey >> (8 - bits), bits)), palette=palette(1 << bits))
    yield 'few-colours.bmp', bmp_file(width, height, 8, rows_of(packed(grey >> 5, 8)), palette=palette(8), colours=8)
    yield 'os2.bmp', bmp_file(width, height, 4, rows_of(packed(grey >> 4, 4)), header=12, palette=b''.join(bytes(c[::-1]) for c in colours[:16]))
    bgrx = np.concatenate([alpha[:, :, 2::-1], alpha[:, :, 3:]], -1)
    yield 'rgb32.bmp', bmp_file(width, height, 32, rows_of(bgrx))
    yield 'top-down.bmp', bmp_file(width, -height, 32, rows_of(bgrx[::-1]))
    masks = struct.pack('<IIII', 0xff0000, 0xff00, 0xff, 0xff000000)
    yield 'rgba32.bmp', bmp_file(width, height, 32, rows_of(bgrx), 3, masks=masks, header=124)
    five = (a[:, :, 0] >> 3 << 10 | a[:, :, 1] >> 3 << 5 | a[:, :, 2] >> 3).astype('<u2')
    yield 'rgb555.bmp', bmp_file(width, height, 16, rows_of(five))
    six = (a[:, :, 0] >> 3 << 11 | a[:, :, 1] >> 2 << 5 | a[:, :, 2] >> 3).astype('<u2')
    yield 'rgb565.bmp', bmp_file(width, height, 16, rows_of(six), 3, masks=struct.pack('<III', 0xf800, 0x7e0, 0x1f))
    yield 'rle8.bmp', bmp_file(width, height, 8, runs(grey >> 5, False), 1, palette=palette(256))
    yield 'rle4.bmp', bmp_file(width, height, 4, runs(grey >> 5, True), 2, palette=palette(16))


# ---- TIFF

def wide(rgb):
    """16 bits per sample, as a PPM file."""
    a = np.asarray(rgb).astype(np.uint16)
    a = a * 256 + a[::-1, ::-1]
    return b'P6 %d %d 65535\n' % (a.shape[1], a.shape[0]) + a.astype('>u2').tobytes()


def tiff(rgb, rgba, exif, xmp):
    grey = rgb.convert('L')
    for name in ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits', 'jpeg'):
        yield f'rgb-{name}.tif', saved(rgb, 'TIFF', compression=name)
    yield 'grey.tif', saved(grey, 'TIFF')
    yield 'grey1-group4.tif', saved(grey.convert('1'), 'TIFF', compression='group4')
    yield 'grey16.tif', saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257 - np.asarray(grey)), 'TIFF')
    yield 'palette.tif', saved(rgb.quantize(50), 'TIFF')
    yield 'cmyk.tif', saved(Image.merge('CMYK', [*rgb.split(), rgba.getchannel('A')]), 'TIFF', compression='tiff_lzw')
    yield 'rgba.tif', saved(rgba, 'TIFF')
    yield 'la.tif', saved(Image.merge('LA', [grey, rgba.getchannel('A')]), 'TIFF')
    yield 'pages.tif', saved(rgb, 'TIFF', save_all=True, append_images=[rgb.rotate(180), rgb.rotate(90)])
    yield 'orientation6.tif', saved(rgb, 'TIFF', tiffinfo={274: 6})
    yield 'xmp.tif', saved(rgb, 'TIFF', tiffinfo={700: xmp(8)})
    yield 'tiles.tif', magick(rgb, 'a.tif', '-define', 'tiff:tile-geometry=16x16', '-compress', 'zip')
    yield 'tiles-planes.tif', magick(rgb, 'a.tif', '-define', 'tiff:tile-geometry=16x16', '-interlace', 'plane', '-compress', 'lzw')
    yield 'planes.tif', magick(rgb, 'a.tif', '-interlace', 'plane', '-define', 'tiff:rows-per-strip=5')
    yield 'msb.tif', magick(rgb, 'a.tif', '-define', 'tiff:endian=msb', '-compress', 'none')
    yield 'rgb16.tif', magick(wide(rgb), 'a.tif', '-depth', '16', '-compress', 'none')
    yield 'rgb16-msb.tif', magick(wide(rgb), 'a.tif', '-depth', '16', '-define', 'tiff:endian=msb', '-compress', 'zip')
    yield 'min-is-white.tif', magick(grey, 'a.tif', '-define', 'quantum:polarity=min-is-white', '-depth', '8')
    yield 'big.tif', saved(rgb, 'TIFF', big_tiff=True)


# ---- HEIC, AVIF, JPEG XL

def modern(rgb, rgba, exif, xmp):
    yield 'q95.heic', saved(rgb, 'HEIF', quality=95, chroma=444)
    yield 'alpha.heic', saved(rgba, 'HEIF', quality=95, chroma=444)
    yield 'orientation6.heic', saved(rgb, 'HEIF', quality=95, chroma=444, exif=b'Exif\0\0' + exif(6))
    yield 'q95.avif', saved(rgb, 'AVIF', quality=95, subsampling='4:4:4')
    yield 'alpha.avif', saved(rgba, 'AVIF', quality=95, subsampling='4:4:4')
    yield 'orientation6.avif', saved(rgb, 'AVIF', quality=95, subsampling='4:4:4', exif=b'Exif\0\0' + exif(6))
    yield 'lossless.jxl', saved(rgb, 'JXL', lossless=True)
    yield 'lossless-alpha.jxl', saved(rgba, 'JXL', lossless=True)
    yield 'lossless-grey.jxl', saved(rgb.convert('L'), 'JXL', lossless=True)
    yield 'lossy.jxl', saved(rgb, 'JXL', quality=85)


# ---- PNM

def pnm(rgb, rgba, exif, xmp):
    a = np.asarray(rgb)
    grey = a[:, :, 1]
    size = b'%d %d' % (a.shape[1], a.shape[0])
    text = lambda values, per_line=7: b'\n'.join(b' '.join(b'%d' % v for v in values[i:i + per_line]) for i in range(0, len(values), per_line))
    yield 'text-bits.pbm', b'P1\n# bits\n' + size + b'\n' + b'\n'.join(bytes(48 + v for v in row > 99) for row in grey)
    yield 'text-grey.pgm', b'P2 ' + size + b' 100\n' + text((grey // 3).ravel().tolist())
    yield 'text-rgb.ppm', b'P3\n' + size + b'\n255\n' + text(a.ravel().tolist(), 12) + b'\n'
    yield 'bits.pbm', b'P4\n' + size + b'\n' + np.packbits(grey > 99, axis=1).tobytes()
    yield 'grey.pgm', b'P5\n# a comment\n' + size + b'\n255\n' + grey.tobytes()
    yield 'grey16.pgm', b'P5\n' + size + b'\n65535\n' + (grey.astype(np.uint32) * 251 + 90).astype('>u2').tobytes()
    yield 'grey10.pgm', b'P5 ' + size + b' 1000\n' + (grey.astype(np.uint16) * 3).astype('>u2').tobytes()
    yield 'rgb.ppm', b'P6\n' + size + b'\n255\n' + a.tobytes()
    yield 'rgb5.ppm', b'P6 ' + size + b' 31\n' + (a >> 3).tobytes()
    yield 'rgb16.ppm', b'P6 ' + size + b' 65535\n' + (a.astype(np.uint16) * 251 + 90).astype('>u2').tobytes()


def apng(rgb, rgba, exif, xmp):
    yield 'animated.png', saved(rgb, 'PNG', save_all=True, append_images=[rgb.rotate(180)], default_image=True)


def cases(scene, exif, xmp):
    """(name, bytes) of every case."""
    rgb = Image.fromarray(scene(27, 21))
    rgba = Image.merge('RGBA', [*rgb.split(), Image.fromarray(scene(27, 21, 7)[:, :, 0])])
    for part in (webp, gif, bmp, tiff, modern, pnm, apng):
        yield from part(rgb, rgba, exif, xmp)


def patched(data, at, new):
    return data[:at] + new + data[at + len(new):]


def bad(scene):
    """(name, bytes) of damaged pictures."""
    rgb = Image.fromarray(scene(64, 48))
    huge = struct.pack('<HH', 65500, 65500)
    files = {'webp': saved(rgb, 'WEBP'), 'gif': saved(rgb.quantize(64), 'GIF'), 'bmp': saved(rgb, 'BMP'),
             'tif': saved(rgb, 'TIFF', compression='tiff_lzw'), 'heic': saved(rgb, 'HEIF', quality=80), 'avif': saved(rgb, 'AVIF'),
             'jxl': saved(rgb, 'JXL'), 'ppm': saved(rgb, 'PPM')}
    for name, data in files.items():
        yield f'cut.{name}', data[:len(data) * 2 // 3]
        yield f'head.{name}', data[:16]
    yield 'bomb.gif', patched(files['gif'], 6, huge)
    at = files['gif'].index(b',\0\0\0\0') + 5
    yield 'claims-too-much.gif', patched(files['gif'], at, struct.pack('<HH', 16000, 16000))
    yield 'bomb.bmp', patched(files['bmp'], 18, struct.pack('<II', 1 << 20, 1 << 20))
    yield 'claims-too-much.bmp', patched(files['bmp'], 18, struct.pack('<II', 10000, 10000))
    yield 'no-pixels.bmp', patched(files['bmp'], 18, struct.pack('<II', 0, 48))
    yield 'bits.bmp', patched(files['bmp'], 28, struct.pack('<H', 7))
    yield 'bomb.ppm', b'P6 1000000 1000000 255\n' + bytes(100)
    yield 'claims-too-much.ppm', b'P6 10000 10000 255\n' + bytes(100)
    yield 'not-a-number.ppm', b'P3 2 1 255\n1 2 3 4 x 6\n'
    yield 'bomb.jxl', b'\xff\x0a' + (0 | 3 << 1 | (1 << 29) << 3 | 1 << 33 | 1 << 36).to_bytes(10, 'little')
    yield 'float.tif', saved(Image.fromarray(np.zeros((4, 4), np.float32)), 'TIFF')
    data = files['tif']
    tag = data.index(struct.pack('<HH', 256, 4)) if struct.pack('<HH', 256, 4) in data else data.index(struct.pack('<HH', 256, 3))
    yield 'bomb.tif', patched(patched(data, tag + 2, struct.pack('<HII', 4, 1, 200000)), tag + 14, struct.pack('<HII', 4, 1, 200000))
    yield 'claims-too-much.tif', patched(patched(data, tag + 2, struct.pack('<HII', 4, 1, 10000)), tag + 14, struct.pack('<HII', 4, 1, 10000))
