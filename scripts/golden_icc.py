#!/usr/bin/env python3
"""Pictures with ICC profiles and their pixels in sRGB, for tests/unit/icc.c, from Pillow's ImageCms.

    scripts/golden_icc.py            writes tests/golden/icc/

tests/golden/icc/index has one line for each case: FILE EXPECTED width height tolerance. EXPECTED is raw RGB. The colours
are converted, then alpha is laid over white. Needs Pillow with pillow-heif and pillow-jxl-plugin, and cjxl.
"""
import io
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageCms, ImageOps

import golden_formats
import icc_profiles
from golden_image import exif, scene

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'golden', 'icc')
index = []


def write(name, data):
    with open(os.path.join(OUT, name), 'wb') as f:
        f.write(data)


def over_white(image):
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGB', image.size, 'white')
        white.paste(image, mask=image.getchannel('A'))
        return white
    return image.convert('RGB')


def in_srgb(image, profile):
    """The upright picture in sRGB; without a profile as it is."""
    image = ImageOps.exif_transpose(image)
    if profile:
        mode = 'RGBA' if image.has_transparency_data else 'RGB'
        image = image.convert(mode) if image.mode == 'P' else image
        image = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile('sRGB'), outputMode=mode)
    return np.asarray(over_white(image))


def case(name, data, tolerance=1, profile=True):
    """Other versions of lcms2 round otherwise, hence the tolerance. profile: whether Pillow converts."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.info.get('icc_profile'), name
    want = in_srgb(image, image.info['icc_profile'] if profile else None)
    if profile:
        assert np.abs(want.astype(int) - in_srgb(image, None)).max() > 8, name
    write(name, data)
    write(name + '.rgb', want.tobytes())
    index.append(f'{name} {name}.rgb {want.shape[1]} {want.shape[0]} {tolerance}')


def in_two_parts(data):
    """A JPEG whose profile is in one APP2 marker, with the profile in two."""
    at = data.index(b'\xff\xe2')
    length = struct.unpack('>H', data[at + 2:at + 4])[0]
    profile = data[at + 4 + 14:at + 2 + length]
    parts = b''
    for i, part in enumerate((profile[:200], profile[200:])):
        body = b'ICC_PROFILE\0' + bytes([i + 1, 2]) + part
        parts += b'\xff\xe2' + struct.pack('>H', len(body) + 2) + body
    return data[:at] + parts + data[at + 2 + length:]


def cjxl(png):
    """Lossless, by libjxl's own program: the plugin of Pillow does not write profiles."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/a.png', 'wb') as f:
            f.write(png)
        subprocess.run(['cjxl', '--quiet', '-q', '100', 'a.png', 'a.jxl'], cwd=folder, check=True)
        with open(f'{folder}/a.jxl', 'rb') as f:
            return f.read()


def main():
    os.makedirs(OUT, exist_ok=True)
    saved, rgb_profiles = golden_formats.saved, icc_profiles.RGB
    p3, adobe, prophoto = (rgb_profiles[n] for n in ('display-p3', 'adobe-rgb', 'prophoto'))
    rgb = Image.fromarray(scene(27, 21))
    other = Image.fromarray(scene(27, 21, 7)[:, :, 0])
    rgba, grey = Image.merge('RGBA', [*rgb.split(), other]), rgb.convert('L')
    cmyk = Image.merge('CMYK', [*rgb.split(), other.point(lambda v: v // 3)])
    ink, gamma = icc_profiles.cmyk(), icc_profiles.grey(1.2)

    data = saved(rgb, 'JPEG', quality=95, subsampling=0, icc_profile=adobe)
    case('adobe-rgb.jpg', data)
    case('two-parts.jpg', in_two_parts(data))
    case('display-p3.jpg', saved(rgb, 'JPEG', quality=95, subsampling=0, icc_profile=p3, exif=b'Exif\0\0' + exif(6)))
    case('grey.jpg', saved(grey, 'JPEG', quality=95, icc_profile=gamma))
    case('cmyk.jpg', saved(cmyk, 'JPEG', quality=95, icc_profile=ink))
    case('prophoto.png', saved(rgb, 'PNG', icc_profile=prophoto))
    case('alpha.png', saved(rgba, 'PNG', icc_profile=adobe))
    case('palette.png', saved(rgb.quantize(40), 'PNG', icc_profile=adobe))
    case('grey.png', saved(grey, 'PNG', icc_profile=gamma))
    case('display-p3.webp', saved(rgb, 'WEBP', lossless=True, icc_profile=p3))
    case('alpha.webp', saved(rgba, 'WEBP', lossless=True, exact=True, icc_profile=adobe))
    case('adobe-rgb.tif', saved(rgb, 'TIFF', icc_profile=adobe))
    case('cmyk.tif', saved(cmyk, 'TIFF', compression='tiff_lzw', icc_profile=ink))
    case('alpha.tif', saved(rgba, 'TIFF', icc_profile=adobe))
    case('grey.tif', saved(grey, 'TIFF', icc_profile=gamma))
    case('display-p3.heic', saved(rgb, 'HEIF', quality=95, chroma=444, icc_profile=p3), 3)
    case('alpha.heic', saved(rgba, 'HEIF', quality=95, chroma=444, icc_profile=adobe), 3)
    case('adobe-rgb.avif', saved(rgb, 'AVIF', quality=95, subsampling='4:4:4', icc_profile=adobe), 8)  # 2 before the conversion, which is steep in the dark
    case('adobe-rgb.jxl', cjxl(saved(rgb, 'PNG', icc_profile=adobe)))
    case('alpha.jxl', cjxl(saved(rgba, 'PNG', icc_profile=adobe)))
    case('grey.jxl', cjxl(saved(grey, 'PNG', icc_profile=gamma)))
    # what changes no colour by more than one step, or cannot be used, leaves the pixels as they are
    case('srgb.png', saved(rgb, 'PNG', icc_profile=rgb_profiles['srgb']), 0, False)
    case('damaged.jpg', saved(rgb, 'JPEG', quality=95, subsampling=0, icc_profile=adobe[:100] + bytes(412)), 0, False)
    case('cut.jpg', saved(rgb, 'JPEG', quality=95, subsampling=0, icc_profile=adobe[:300]), 0, False)
    case('wrong-space.webp', saved(rgb, 'WEBP', lossless=True, icc_profile=ink), 0, False)
    write('index', ('\n'.join(index) + '\n').encode())
    return 0


if __name__ == '__main__':
    sys.exit(main())
