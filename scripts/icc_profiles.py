"""ICC profiles (version 2) for scripts/golden_image.py and scripts/icc.py, written from the specification ICC.1:2001-04.

    RGB['display-p3'], RGB['adobe-rgb'], ...    matrix and curves: bytes of a profile
    grey(gamma), cmyk()                         a grey curve; a table from inks to Lab
"""
import struct

import numpy as np

BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50 = np.array([0.9642, 1.0, 0.8249])  # as profiles round it


def xyz(x, y):
    return np.array([x / y, 1, (1 - x - y) / y])


def s15(values):
    return b''.join(struct.pack('>i', round(v * 65536)) for v in values)


def text(tag, value):
    data = value.encode('ascii') + b'\0'
    if tag == b'desc':
        return b'desc\0\0\0\0' + struct.pack('>I', len(data)) + data + bytes(4 + 4 + 2 + 1 + 67)
    return b'text\0\0\0\0' + data


def gamma_curve(gamma):
    return b'curv\0\0\0\0' + struct.pack('>IH', 1, round(gamma * 256))


def srgb_curve():
    v = np.linspace(0, 1, 1024)
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return b'curv\0\0\0\0' + struct.pack('>I', 1024) + np.round(linear * 65535).astype('>u2').tobytes()


def profile(space, kind, pcs, tags, name):
    tags = {b'desc': text(b'desc', name), b'cprt': text(b'text', 'public domain'), b'wtpt': b'XYZ \0\0\0\0' + s15(D50), **tags}
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack('>I', len(tags)), b''
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack('>II', at + len(body), len(data))
        body += data
    head = struct.pack('>I4sI4s4s4s6H4s4sII4sQI', at + len(body), b'\0\0\0\0', 0x02400000, kind, space, pcs,
                       2026, 1, 1, 0, 0, 0, b'acsp', b'\0\0\0\0', 0, 0, b'\0\0\0\0', 0, 0) + s15(D50)
    return head + bytes(128 - len(head)) + table + body


def rgb(name, primaries, white, curve):
    """Primaries and white as chromaticities; the matrix is adapted to D50 by Bradford's method."""
    columns = np.array([xyz(*p) for p in primaries]).T
    w = xyz(*white)
    matrix = columns * np.linalg.solve(columns, w)
    adapt = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / (BRADFORD @ w)) @ BRADFORD
    matrix = adapt @ matrix
    tags = {tag: b'XYZ \0\0\0\0' + s15(matrix[:, i]) for i, tag in enumerate((b'rXYZ', b'gXYZ', b'bXYZ'))}
    tags.update({tag: curve for tag in (b'rTRC', b'gTRC', b'bTRC')})
    return profile(b'RGB ', b'mntr', b'XYZ ', tags, name)


D65 = (0.3127, 0.3290)
RGB = {
    'srgb': rgb('sRGB', [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], D65, srgb_curve()),
    'display-p3': rgb('Display P3', [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)], D65, srgb_curve()),
    'adobe-rgb': rgb('Adobe RGB (1998) compatible', [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)], D65, gamma_curve(2.19921875)),
    'prophoto': rgb('ROMM compatible', [(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)], (0.3457, 0.3585), gamma_curve(1.8)),
}


def grey(gamma=1.8):
    return profile(b'GRAY', b'mntr', b'XYZ ', {b'kTRC': gamma_curve(gamma)}, f'grey {gamma}')


def cmyk(grid=5):
    """A simple printer: each ink multiplies the light by its own reflectance in XYZ; black is neutral."""
    reflect = np.array([[0.16, 0.24, 0.60], [0.33, 0.17, 0.18], [0.70, 0.78, 0.08], [0.02, 0.02, 0.02]])
    lab = []
    for index in np.ndindex(grid, grid, grid, grid):
        ink = np.array(index) / (grid - 1)
        v = np.prod(1 - ink[:, None] * (1 - reflect), axis=0)
        f = np.where(v > 0.008856, np.cbrt(v), v * 7.787 + 16 / 116)
        lab.append((116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])))
    lab = np.array(lab)
    table = np.clip(np.round(lab * [2.55, 1, 1] + [0, 128, 128]), 0, 255).astype(np.uint8).tobytes()
    identity = bytes(range(256))
    lut = b'mft1\0\0\0\0' + bytes([4, 3, grid, 0]) + s15([1, 0, 0, 0, 1, 0, 0, 0, 1]) + identity * 4 + table + identity * 3
    return profile(b'CMYK', b'prtr', b'Lab ', {b'A2B0': lut}, 'a simple printer')
