"""What verify.py needs and is not of this format: plain files, strict JSON, signed notes (c2sp.org/signed-note), the
Merkle tree of RFC 6962, and Ed25519 (RFC 8032, section 5.1). Any library for these can stand in."""
import base64
import hashlib
import json
import os

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def read(path, ref=None):
    """The bytes of a plain file, which must be those that it had when it was named."""
    assert os.path.isfile(path) and not os.path.islink(path), f"{path} is not a plain file"
    with open(path, "rb") as file:
        data = file.read()
    assert ref is None or (len(data), sha(data).hex()) == (ref["len"], ref["sha256"]), f"{path} has other bytes"
    return data


def load(data):
    """JSON in which no object names a key twice."""
    return json.loads(data, object_pairs_hook=once)


def once(pairs):
    assert len(dict(pairs)) == len(pairs), "a key is named twice"
    return dict(pairs)


def sha(data):
    return hashlib.sha256(data).digest()


def unbase(text):
    return base64.b64decode(text, validate=True)


def root(leaves):
    """The root of a Merkle tree over the hashes of its leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def opened(note, vkey):
    """Origin, size and root of a checkpoint, if this key signed it."""
    (name, ident, key), (text, _, below) = vkey.split("+", 2), note.rpartition("\n\n")
    short = sha(name.encode() + b"\n" + unbase(key))[:4]
    assert short.hex() == ident and unbase(key)[0] == 1, "not a key"
    made = [unbase(line.split(" ")[2]) for line in below.splitlines() if line.startswith(f"\u2014 {name} ")]
    holds = (s[:4] == short and ed25519(unbase(key)[1:], text.encode() + b"\n", s[4:]) for s in made)
    assert any(holds), "the key of its time did not sign a note"
    origin, size, top = text.split("\n")
    return origin, int(size), unbase(top)


def ed25519(key, text, signature):
    """Whether this key signed this text."""
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    a, b = multiply(s, point(b"\x58" + b"\x66" * 31)), add(point(signature[:32]), multiply(k, point(key)))
    return s < L and (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def add(a, b):  # in extended coordinates
    e, f, c, d = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0]), 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    return (f - e) * (d - c) % P, (d + c) * (f + e) % P, (d - c) * (d + c) % P, (f - e) * (f + e) % P


def multiply(n, factor):
    total = (0, 1, 1, 0)
    while n:
        total, factor, n = add(total, factor) if n & 1 else total, add(factor, factor), n >> 1
    return total


def point(data):
    y = int.from_bytes(data, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_ONE % P
    assert len(data) == 32 and y < P and x * x % P == square, "not a point of the curve"
    x = x if x & 1 == data[31] >> 7 else P - x
    return x, y, 1, x * y % P
