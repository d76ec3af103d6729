"""What the tests of the command share: running it, and strict little readers and writers of the formats it speaks.

A test is a unittest module that ends in `cli_support.main()` and is called as `NAME_test.py HEADSTART`. Only the standard library is used,
so that nothing the command does is checked with its own libraries.
"""

import ast
import gzip
import json
import math
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile
import zlib

SECONDS = 120  # for one command, on a machine that is busy

headstart = None  # the command's path, set by main()


# ---- running the command


class Result:
    def __init__(self, arguments, code, out, err):
        self.command = "headstart " + shlex.join(arguments)
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return "$ %s\nexit code %s\nstdout: %s\nstderr: %s" % (self.command, self.code, self.out.strip() or "-", self.err.strip() or "-")

    def json(self):
        return json.loads(self.out)


def words(arguments):
    return [str(argument) for argument in arguments]


def run(*arguments, cwd=None, environment=None):
    """Runs the command to its end, whatever that is."""
    arguments = words(arguments)
    done = subprocess.run([headstart, *arguments], cwd=cwd, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS)
    return Result(arguments, done.returncode, done.stdout, done.stderr)


def succeed(*arguments, **options):
    """Runs the command, which must end well; the result."""
    result = run(*arguments, **options)
    if result.code != 0:
        raise AssertionError("expected success\n%s" % result)
    return result


def result_of(*arguments, **options):
    """Runs the command with `--json -`, which must end well and print nothing but the object; that object."""
    return succeed(*arguments, "--json", "-", **options).json()


def run_and_signal(number, when, *arguments):
    """Starts the command, sends it the signal as soon as `when()` is true, and waits for its end."""
    arguments = words(arguments)
    process = subprocess.Popen([headstart, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + SECONDS
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(number)  # does nothing where the process has ended, which the exit code tells
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    return Result(arguments, process.returncode, out, err)


KILLED, INTERRUPTED = -signal.SIGKILL, 130


# ---- folders

_folders = []


def temporary_folder():
    """A folder that lives as long as the test's process."""
    folder = tempfile.TemporaryDirectory(prefix="headstart_cli_")
    _folders.append(folder)
    return pathlib.Path(folder.name)


def tree(folder):
    """Everything below a folder: {relative path: bytes, or None for a folder}."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in sorted(folder.rglob("*"))}


def temporary_files(folder):
    return [name for name in tree(folder) if ".tmp" in name]


def pngs(folder):
    """{relative path: bytes} of the PNG files below a folder."""
    return {name: content for name, content in tree(folder).items() if name.endswith(".png")}


# ---- NumPy's files

_CODES = {"<f8": "d", "<f4": "f", "<i8": "q", "<i4": "i", "|u1": "B"}


class Array:
    def __init__(self, dtype, shape, values):
        self.dtype, self.shape, self.values = dtype, tuple(shape), values

    def rows(self):
        width = math.prod(self.shape[1:])
        return [self.values[i : i + width] for i in range(0, len(self.values), width)]


def npy_bytes(shape, values, dtype="<f8", order=False, descr=None):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr or dtype, order, tuple(shape))
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<%d%s" % (len(values), _CODES[dtype]), *values)


def write_npy(path, shape, values, dtype="<f8"):
    pathlib.Path(path).write_bytes(npy_bytes(shape, values, dtype))


def write_points(path, rows, dtype="<f8"):
    write_npy(path, (len(rows), len(rows[0])), [value for row in rows for value in row], dtype)


def parse_npy(content):
    assert content[:8] == b"\x93NUMPY\x01\x00", content[:8]
    (length,) = struct.unpack_from("<H", content, 8)
    assert (10 + length) % 64 == 0, "values are not aligned to 64 bytes"
    header = ast.literal_eval(content[10 : 10 + length].decode())
    assert set(header) == {"descr", "fortran_order", "shape"} and not header["fortran_order"], header
    code, count = _CODES[header["descr"]], math.prod(header["shape"])
    data = content[10 + length :]
    assert len(data) == count * struct.calcsize("<" + code), "%d bytes for %s" % (len(data), header)
    return Array(header["descr"], header["shape"], list(struct.unpack("<%d%s" % (count, code), data)))


def read_npy(path):
    return parse_npy(pathlib.Path(path).read_bytes())


def read_npz(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name.removesuffix(".npy"): parse_npy(archive.read(name)) for name in archive.namelist()}


# ---- IDX


def idx_bytes(shape, values):
    return struct.pack(">BBBB%dI" % len(shape), 0, 0, 8, len(shape), *shape) + bytes(values)


def write_idx(path, shape, values):
    content = idx_bytes(shape, values)
    path = pathlib.Path(path)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


# ---- safetensors

_WIDTHS = {"F64": "d", "F32": "f", "I64": "q"}


def parse_safetensors(content):
    """(metadata, {name: Array}); every byte must belong to exactly one tensor, as the format wants it."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    data, tensors, at = content[8 + length :], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == at, "a gap before %s" % name
        at, count = end, math.prod(entry["shape"])
        tensors[name] = Array(entry["dtype"], entry["shape"], list(struct.unpack("<%d%s" % (count, _WIDTHS[entry["dtype"]]), data[begin:end])))
    assert at == len(data), "bytes after the last tensor"
    return metadata, tensors


def read_safetensors(path):
    return parse_safetensors(pathlib.Path(path).read_bytes())


def safetensors_bytes(metadata, tensors):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        packed = struct.pack("<%d%s" % (len(tensor.values), _WIDTHS[tensor.dtype]), *tensor.values)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# ---- PNG

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(height, width, values, channels=1):
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    stride = width * channels
    rows = b"".join(b"\0" + bytes(values[y * stride : (y + 1) * stride]) for y in range(height))
    return (_SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)) + _chunk(b"IDAT", zlib.compress(rows))
            + _chunk(b"IEND", b""))


def _unfilter(kind, line, above, step):
    out = bytearray(line)
    for i, value in enumerate(line):
        left, up = out[i - step] if i >= step else 0, above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += up
        elif kind == 3:
            value += (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            value += min((left, up, corner), key=lambda other: abs(guess - other))
        out[i] = value & 255
    return bytes(out)


def decode_png(content):
    """((height, width, channels), bytes) of an 8-bit grey or RGB file; anything short of a whole, valid file is an error."""
    assert content[:8] == _SIGNATURE, "not a PNG file"
    at, chunks = 8, []
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", content, at + 8 + length)
        assert zlib.crc32(kind + data) == checksum, "wrong checksum of chunk %s" % kind
        chunks.append((kind, data))
        at += length + 12
    assert chunks[0][0] == b"IHDR" and chunks[-1] == (b"IEND", b"") and at == len(content)
    width, height, depth, color_type, *methods = struct.unpack(">IIBBBBB", chunks[0][1])
    assert depth == 8 and color_type in (0, 2) and methods == [0, 0, 0], (depth, color_type, methods)
    channels = 1 if color_type == 0 else 3
    inflate = zlib.decompressobj()
    raw = inflate.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    stride = width * channels
    assert inflate.eof and not inflate.unused_data and len(raw) == height * (stride + 1)
    out, above = b"", bytes(stride)
    for y in range(height):
        start = y * (stride + 1)
        assert raw[start] <= 4
        above = _unfilter(raw[start], raw[start + 1 : start + 1 + stride], above, channels)
        out += above
    return (height, width, channels), out


# ---- data and models that several tests need

SIDE = 8  # of the pictures


def blob_pixels(count, side=SIDE, seed=7):
    """`count` grey pictures of one soft blob each, as a flat list of bytes."""
    rng, pixels = random.Random(seed), []
    for _ in range(count):
        cx, cy, width = rng.uniform(1, side - 2), rng.uniform(1, side - 2), rng.uniform(0.8, 2.5)
        for y in range(side):
            for x in range(side):
                glow = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width * width))
                pixels.append(max(0, min(255, round(235 * glow + rng.gauss(0, 6)))))
    return pixels


def write_blobs(path, count=96, labelled=False, seed=7):
    """An IDX file of blobs; its labels, where wanted, say in which half the picture is brighter."""
    pixels = blob_pixels(count, seed=seed)
    write_idx(path, (count, SIDE, SIDE), pixels)
    if labelled:
        area, labels = SIDE * SIDE, []
        for n in range(count):
            picture = pixels[n * area : (n + 1) * area]
            labels.append(int(sum(picture[: area // 2]) < sum(picture[area // 2 :])))
        path = pathlib.Path(path)
        write_idx(path.with_name(path.name.replace("images-idx3", "labels-idx1")), (count,), labels)


# A network small enough to be trained in a second.
TINY = ["--channels", "8", "--channel_mult", "1,2", "--blocks", "1", "--batch", "32", "--warmup", "64"]


def gaussian_points(count, dim, seed=11):
    """Correlated points with a mean of their own and a spectrum that falls quickly."""
    rng = random.Random(seed)
    mixing = [[rng.gauss(0, 1) * 0.75**j for j in range(dim)] for _ in range(dim)]
    mean = [rng.uniform(-1, 1) for _ in range(dim)]
    rows = []
    for _ in range(count):
        z = [rng.gauss(0, 1) for _ in range(dim)]
        rows.append([m + sum(a * b for a, b in zip(row, z)) for m, row in zip(mean, mixing)])
    return rows


# ---- TorchScript networks, without libtorch

_CODE = """class Net(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.Net,
    x: Tensor,
    t: Tensor) -> Tensor:
    return %s
"""

# An object of the class above whose only attribute is training = False; and no constants.
_OBJECT = b"\x80\x02c__torch__\nNet\n)\x81}(X\x08\x00\x00\x00training\x89ub."
_NO_CONSTANTS = b"\x80\x02)."

ALWAYS_GREY = "torch.add(torch.mul(x, 0.), 0.25)"


def gaussian_script(mean, variance):
    """The denoiser of N(mean, variance I), told sigma."""
    factor = "torch.mul(torch.reciprocal(torch.add(torch.mul(t, t), %r)), %r)" % (variance, variance)
    return "torch.add(torch.mul(torch.add(x, %r), torch.reshape(%s, [16, 1, 1, 1])), %r)" % (-mean, factor, mean)


def write_scripted_network(path, card, returned=ALWAYS_GREY):
    """A TorchScript file as libtorch saves it, and its card. `returned` is an expression of x [16, C, H, W] and the time t [16]."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", _OBJECT)
        archive.writestr("net/code/__torch__.py", _CODE % returned)
        archive.writestr("net/constants.pkl", _NO_CONSTANTS)
        archive.writestr("net/version", "3\n")
    path.with_name(path.name + ".json").write_text(json.dumps(card))


# ---- matrices as lists of rows


def identity(n):
    return [[float(i == j) for j in range(n)] for i in range(n)]


def combine(a, x, b, y):
    """a X + b Y."""
    return [[a * u + b * v for u, v in zip(p, q)] for p, q in zip(x, y)]


def product(x, y):
    columns = list(zip(*y))
    return [[math.fsum(a * b for a, b in zip(row, column)) for column in columns] for row in x]


def apply(matrix, vector):
    return [math.fsum(a * b for a, b in zip(row, vector)) for row in matrix]


def transpose(matrix):
    return [list(column) for column in zip(*matrix)]


def inverse_and_log_det(matrix):
    """Gauss-Jordan with pivoting."""
    n = len(matrix)
    work, log_det = [list(row) + unit for row, unit in zip(matrix, identity(n))], 0.0
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(work[i][k]))
        work[k], work[pivot] = work[pivot], work[k]
        log_det += math.log(abs(work[k][k]))
        work[k] = [value / work[k][k] for value in work[k]]
        for i in range(n):
            if i != k and work[i][k] != 0:
                factor = work[i][k]
                work[i] = [a - factor * b for a, b in zip(work[i], work[k])]
    return [row[n:] for row in work], log_det


def inverse(matrix):
    return inverse_and_log_det(matrix)[0]


def moments(rows):
    """Mean and covariance with divisor N."""
    n = len(rows)
    mean = [math.fsum(column) / n for column in zip(*rows)]
    centred = [[a - b for a, b in zip(row, mean)] for row in rows]
    return mean, [[math.fsum(row[i] * row[j] for row in centred) / n for j in range(len(mean))] for i in range(len(mean))]


class Gaussian:
    """A statistics file, with its covariance written out."""

    def __init__(self, path):
        self.metadata, tensors = read_safetensors(path)
        self.mean, self.tail = tensors["mean"].values, tensors["tail"].values[0]
        self.basis, self.eigenvalues = tensors["basis"].rows(), tensors["eigenvalues"].values

    def spectral(self, function):
        """U diag(f(eigenvalues)) U^T + f(tail) (I - U U^T)."""
        rest = function(self.tail)
        scaled = [[u * (function(value) - rest) for u, value in zip(row, self.eigenvalues)] for row in self.basis]
        return combine(1, product(scaled, transpose(self.basis)), rest, identity(len(self.mean)))

    def covariance(self):
        return self.spectral(lambda value: value)

    def flow(self, x, start, end):
        """The probability flow's solution, from its formula."""
        matrix = self.spectral(lambda value: math.sqrt((value + end * end) / (value + start * start)))
        return [m + y for m, y in zip(self.mean, apply(matrix, [a - m for a, m in zip(x, self.mean)]))]


def largest_difference(a, b):
    return max(abs(x - y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True))


# ---- noise and grids


def noise_of(seed, count):
    """libtorch's CPU randn of `count` >= 16 float32 values (a multiple of 16), to rounding: Mersenne twister, then Box-Muller by sixteens."""
    assert count >= 16 and count % 16 == 0
    state = [seed % 2**32]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & 0xFFFFFFFF)
    twister = random.Random()
    twister.setstate((3, (*state, 624), None))
    uniform = [(twister.getrandbits(32) & 0xFFFFFF) / 2.0**24 for _ in range(count)]
    noise = []
    for i in range(0, count, 16):
        radii = [math.sqrt(-2 * math.log(1 - u)) for u in uniform[i : i + 8]]
        angles = [2 * math.pi * u for u in uniform[i + 8 : i + 16]]
        noise += [r * math.cos(a) for r, a in zip(radii, angles)] + [r * math.sin(a) for r, a in zip(radii, angles)]
    return noise


def karras_sigmas(steps, low=0.002, high=80.0, rho=7.0):
    """The positive levels of EDM's grid."""
    a, b = high ** (1 / rho), low ** (1 / rho)
    return [(a + i / (steps - 1) * (b - a)) ** rho for i in range(steps)]


# ---- the test's entry


def main():
    global headstart
    if len(sys.argv) < 2:
        sys.exit("usage: %s HEADSTART [TEST...]" % pathlib.Path(sys.argv[0]).name)
    headstart = shutil.which(os.path.abspath(sys.argv[1]))
    if headstart is None:
        sys.exit("%s: expected the headstart command, which can be run" % sys.argv[1])
    # The command may start twice to get fitting BLAS kernels. Once is enough to learn which; naming them saves the others half their start.
    kernels = re.search(r"BLAS OpenBLAS [\d.]+ (\w+)", run("--version").out)
    if kernels:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels.group(1))
    os.environ["OMP_WAIT_POLICY"] = "passive"  # tests run side by side: a thread that waits must not keep a core from another
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
