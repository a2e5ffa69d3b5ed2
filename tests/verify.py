#!/usr/bin/env python3
"""verify.py RUN [KEY | ROOT]...: verifies a run's folder after docs/evidence-format.md, layer by layer.

Written from that page, not from the program, whose tests hold the two against each other. It needs Python's standard
library and docs/evidence.schema.json, and stops at the first layer that does not hold.
"""
import base64
import datetime
import hashlib
import json
import os
import re
import sys
import urllib.parse

CODES = {"authentic": 0, "consistent": 50, "open": 51, "torn-tail": 52, "broken": 5}
SIGNED = {"run-opened", "approved", "stage-ended", "resumed", "interrupted"}  # lines after which a note is due
TORN = r"\.torn(\.[0-9]+)?"  # how the name ends of what a crash left
AT_CLOSE = {"journal.jsonl", "manifest.json", "journal.sha256", "seal.note"}
LATER = {"seal.tsr", "seal.sig"}  # may be added to a closed run
with open(os.path.join(os.path.dirname(__file__), "../docs/evidence.schema.json"), encoding="utf-8") as file:
    SCHEMA = json.load(file)


# Files and JSON.

def plain(path):
    """The bytes of a plain file; none where there is none."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def sha(data):
    return hashlib.sha256(data).digest()


def hexsha(data):
    return None if data is None else sha(data).hex()


def is_file_of(run, ref):
    """Whether a file has the bytes that it had when it was named."""
    data = run.file(ref["path"])
    return data is not None and (len(data), hexsha(data)) == (ref["len"], ref["sha256"])


def unbase(text):
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text, "Base64 has one form only"
    return data


def once(pairs):
    assert len(dict(pairs)) == len(pairs), "a key is named twice"
    return dict(pairs)


def load(data, form=None):
    """JSON of a form of the schema, in which no object names a key twice."""
    value = json.loads(data.decode(), object_pairs_hook=once)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # no halves of characters, no infinite numbers
    assert form is None or fits(value, SCHEMA["properties"][form]), f"not of the form of a {form}: {data[:99]}"
    return value


def members(text):
    """The members of an object, each value with the bytes that it is written in."""
    gap, decode = re.compile(r"[\s,:]*"), json.JSONDecoder().raw_decode
    at = gap.match(text, text.index("{") + 1).end()
    while text[at] != "}":
        key, at = decode(text, at)
        begin = gap.match(text, at).end()
        at = decode(text, begin)[1]
        yield key, text[begin:at].encode()
        at = gap.match(text, at).end()


def fits(value, want):
    """Whether a value has the form that a schema asks for: as much of JSON Schema as the file uses."""
    if isinstance(want, bool):
        return want
    if "$ref" in want:
        return fits(value, SCHEMA["$defs"][want["$ref"].rpartition("/")[2]])
    if "oneOf" in want or "anyOf" in want:
        return any(fits(value, one) for one in want.get("oneOf", want.get("anyOf")))
    names = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean", type(None): "null"}
    name = names.get(type(value), "number")
    if name not in want.get("type", name) or value not in want.get("enum", [want.get("const", value)]):
        return False
    if name == "integer" and "format" in want:
        return 0 <= value < 2 ** int(want["format"][4:])
    if name == "string" and want.get("format") == "date-time":
        assert re.fullmatch(r"[0-9T:-]{19}(\.[0-9]{0,8}[1-9])?Z", value), f"not a time as it is written: {value}"
        return bool(datetime.datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S"))
    if name == "array":
        forms = want.get("prefixItems", [want.get("items", True)] * len(value))
        return len(forms) == len(value) and all(map(fits, value, forms))
    if name == "object":
        known, more = want.get("properties", {}), want.get("additionalProperties", True)
        return set(want.get("required", [])) <= set(value) and all(fits(value[k], known.get(k, more)) for k in value)
    return True


# Signatures: the Merkle tree of RFC 6962, notes of c2sp.org/signed-note, and Ed25519 (RFC 8032, section 5.1).

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def root(leaves):
    """The root of the tree over the hashes of its leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha(b"")
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def key_of(vkey):
    """Name, id and key of what a note is verified with."""
    name, ident, coded = vkey.split("+", 2)
    key = unbase(coded)
    assert name and not re.search(r"\s", name) and key[0] == 1 and point(key[1:]), "not a key"
    assert ident == sha(name.encode() + b"\n" + key)[:4].hex(), "the id is not that of the key"
    return name, bytes.fromhex(ident), key[1:]


def opened(note):
    """Text, origin, size and root of a checkpoint, and the signatures below it, none of them verified."""
    assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", note), "a control character"
    text, _, below = note.rpartition("\n\n")
    assert re.fullmatch("(\u2014 [^ \n]* [^\n]*\n)+", below), "not a signed note"
    signatures = [(name, unbase(coded)) for _, name, coded in (line.split(" ", 2) for line in below.splitlines())]
    origin, size, top = text.split("\n")
    assert origin and re.fullmatch("0|[1-9][0-9]*", size) and len(unbase(top)) == 32, "not a checkpoint"
    return text.encode() + b"\n", origin, int(size), unbase(top), signatures


def ed25519(key, text, signature):
    """Whether this key signed this text."""
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    base, r, a = point(b"\x58" + b"\x66" * 31), point(signature[:32]), point(key)
    left, right = multiply(s, base), add(r, multiply(k, a))
    weak = any(multiply(8, one)[0] % P == 0 for one in (r, a))  # of such a key anybody can make signatures
    return s < L and not weak and all((left[n] * right[2] - right[n] * left[2]) % P == 0 for n in (0, 1))


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
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    assert len(data) == 32 and y < P and x * x % P == square, "not a point of the curve"
    x = x if x & 1 == data[31] >> 7 else P - x
    return x, y, 1, x * y % P


# The layers, each resting on those before it.

class Run:
    """What is read of a run's folder."""

    def __init__(self, path, keys, roots):
        self.path, self.keys, self.roots = path, keys, roots
        *self.raw, self.tail = (self.file("journal.jsonl") or b"").split(b"\n")
        self.leaves = [sha(b"\0" + line) for line in self.raw]

    def file(self, name):
        return plain(os.path.join(self.path, name))

    def list(self, under=""):
        """The plain files, without what was derived."""
        for entry in os.scandir(os.path.join(self.path, under)):
            name, is_folder = under + entry.name, entry.is_dir(follow_symlinks=False)
            if is_folder and name in ("evidence", "checkpoints"):
                yield from self.list(name + "/")
            elif not (is_folder and name == "derived"):
                assert entry.is_file(follow_symlinks=False), f"{name} is not a plain file"
                yield name

    def runs(self):
        """The folder of the case's runs, where the run lies in one."""
        runs = os.path.dirname(os.path.realpath(self.path))
        return runs if os.path.basename(runs) == "runs" else None


def form(run):
    """Header and lines, each alone."""
    header = run.file("run.json")
    run.head = None if header is None else load(header, "header")
    run.lines = [load(line, "line") for line in run.raw]
    run.records = [line["record"] for line in run.lines]
    run.kinds = [rec["type"] for rec in run.records]
    run.closed = "closed" in run.kinds


def chain(run):
    """The lines among each other."""
    name, prev, mono = run.head["run_id"] if run.head else None, "0" * 64, 0
    for seq, (line, rec, kind) in enumerate(zip(run.lines, run.records, run.kinds)):
        at, name = f"line {seq}", name or line["run"]
        assert (line["seq"], line["run"], line["prev"]) == (seq, name, prev), f"{at} does not follow the one before it"
        assert (kind == "run-opened") == (seq == 0), f"{at} opens the run, or does not"
        assert line["mono_ms"] >= mono or kind == "resumed", f"{at}: the clock ran backwards"
        assert kind != "closed" or (seq + 1 == len(run.raw) and not run.tail), f"{at} is not the last"
        if kind == "resumed":
            told = rec["records"], unbase(rec["continues"]["root"])
            assert told == (seq, root(run.leaves[:seq])), f"{at} continues other lines"
        prev, mono = hexsha(run.raw[seq]), line["mono_ms"]


def files(run):
    """The files around the journal: those that lines name, and no others."""
    run.tree = set(run.list())
    plan = run.file("plan.json")
    assert run.head and plan is not None and "journal.jsonl" in run.tree, "a file is missing that every run has"
    if run.lines:
        first, playbook = run.records[0], hexsha(run.file("playbook.yaml"))
        assert first["header_sha256"] == hexsha(run.file("run.json")), "run.json is not the one of line 0"
        assert first["plan_sha256"] == hexsha(plan) == run.head["plan_sha256"], "another plan.json"
        named = first.get("playbook_sha256"), (run.head.get("playbook") or {}).get("sha256")
        assert named == (playbook, playbook), "another playbook.yaml"
    run.approvable, run.plan, run.calls = planned(plan)
    known = evidence(run)
    free = AT_CLOSE | {"run.json", "plan.json", "playbook.yaml"} | (LATER if run.closed else set())
    run.notes = {name for name in run.tree if name.startswith("checkpoints/") and not re.search(TORN + "$", name)}
    rest = run.tree - free - run.notes - known
    if not run.closed:  # what belongs to a line that may still come, or was set aside for one
        of_later = {name: re.match("evidence/([0-9]{6,})-", name) for name in rest}
        rest = {name for name, seq in of_later.items() if not (is_torn(name) or seq and int(seq[1]) >= len(run.raw))}
    assert not rest, f"no line names {rest}"
    beside(run)


def is_torn(path):
    return re.fullmatch(r"((evidence|checkpoints)/)?[a-z0-9.-]*" + TORN, path)


def planned(data):
    """The plan's digest, the plan, and what each of its changes is to send."""
    file, texts = load(data), dict(members(data.decode()))
    plan, reads = file["plan"], None if file.get("reads") is None else texts["reads"]
    assert {"digest", "plan"} <= set(file) <= {"digest", "plan", "reads"}, "not a plan"
    assert file["digest"] == "sha256:" + hexsha(texts["plan"]), "the plan is not the one of its digest"
    told = None if plan.get("reads") is None else plan["reads"]["sha256"]
    assert hexsha(reads) == told, "other reads than those of the plan"
    items = [item for stage in plan["stages"] for step in stage["steps"] for item in step["items"]]
    changes = [item.get("change") or item.get("already") for item in items]
    assert isinstance(plan["tenant_id"], str) and isinstance(plan["recipients"], list), "not a plan"
    return file["digest"], plan, {it["id"]: [call["write"] for call in it["calls"]] for it in changes if it}


def evidence(run):
    """Every exchange that a line names, and what crashes left; gives the paths."""
    known = set()
    for seq, (line, rec) in enumerate(zip(run.lines, run.records)):
        for n, ev in enumerate(line["ev"]):
            names, stem = ev["head"]["path"] + " " + ev["body"]["path"], f"evidence/{seq:06}-{n}-[a-z0-9-]*"
            assert re.fullmatch(rf"{stem}\.head {stem}\.body", names), f"line {seq}: evidence has another name"
            assert is_file_of(run, ev["head"]) and is_file_of(run, ev["body"]), f"line {seq}: evidence is another"
            told = load(run.file(ev["head"]["path"]), "head")["client_request_id"]
            assert told == ev["client_request_id"], f"line {seq}: evidence of another request"
            known |= set(names.split(" "))
        for ref in (rec.get("torn") or {}).get("kept", []):
            assert is_torn(ref["path"]) and is_file_of(run, ref), f"line {seq}: what a crash left is another"
            known.add(ref["path"])
    return known


def beside(run):
    """Names of other runs, and sealed secrets beside the runs."""
    for one in run.records[0]["earlier"] if run.lines and run.runs() else []:
        assert re.fullmatch("[A-Za-z0-9-]+", one["run"]), "not the id of a run"
    for rec in run.records if run.runs() else []:
        if rec["type"] == "sealed":
            path, parts = os.path.join(run.runs(), "..", rec["file"]), rec["file"].split("/")
            assert parts[0] == "handover" and parts[1:] and "\\" not in rec["file"], "a secret elsewhere"
            assert not {"", ".", ".."} & set(parts), "a secret elsewhere"
            assert not os.path.lexists(path) or hexsha(plain(path)) == rec["sha256"], "a sealed secret is another"


def rules(run):
    """Nothing off the plan; no call without approval, snapshot and intent; nothing done that no read showed."""
    tenants = {run.head["tenant_id"], run.head["identity"]["tenant_id"], run.plan["tenant_id"]}
    assert len(tenants) == 1, "header, identity and plan name more than one tenant"
    approved, changes = False, {}
    for seq, (line, rec, kind) in enumerate(zip(run.lines, run.records, run.kinds)):
        call, asked = (rec.get("call"), rec.get("client_request_id")), {ev["client_request_id"] for ev in line["ev"]}
        change = rec.get("change")
        assert change is None or change in run.calls, f"line {seq}: the plan has no such change"
        it = changes.setdefault(change, {"open": {}, "begun": False, "reread": False, "seen": set(), "end": None})
        if kind == "approved":
            assert rec["digest"] == run.approvable, f"line {seq}: another plan was approved"
            approved = True
        elif kind == "sealed":
            it["seen"].add("sealed")
        elif kind == "observed" and rec.get("state") is not None or rec.get("verdict") == "holds":
            assert asked, f"line {seq}: no exchange stands behind it"
            it["seen"].add(rec.get("purpose", "verified"))
            it["reread"] |= it["begun"] and rec.get("purpose") == "probe"
        elif kind == "intent":
            assert approved and "before" in it["seen"], f"line {seq}: a call without approval or snapshot"
            of_plan = any(fills(one, rec["request"]["write"]) for one in run.calls[change])
            assert of_plan or it["reread"], f"line {seq}: the plan has no such call"
            it["begun"], it["open"][call] = True, rec["request"]
            it["seen"] -= {"probe", "verified"}
        elif kind == "sent":
            assert call in it["open"], f"line {seq}: no line announced this call, or it was sent before"
            kept = any(one["hand_over"] == "sealed" for one in it["open"].pop(call).get("secrets", []))
            if rec["outcome"] != "not-sent":
                assert call[1] in asked, f"line {seq}: no exchange stands behind it"
                sealed = "sealed" in it["seen"] or not (kept and run.plan["recipients"])
                assert sealed, f"line {seq}: a secret was sent that had not been sealed"
        elif kind == "ended":
            it["end"] = rec["outcome"]
            shown = it["begun"] and it["seen"] & {"probe", "verified"}
            assert shown or it["end"] not in ("done", "done-will-revert"), f"line {seq}: done, and no read showed it"
        elif kind == "closed":
            ends = [it["end"] for it in changes.values() if it["end"]]
            assert {end: ends.count(end) for end in ends} == rec["outcomes"], "the last line counts other outcomes"
            assert all(it["end"] for it in changes.values() if it["begun"]), "a change has no end"


def fills(one, sent):
    """Whether what was sent is what was planned; `$found` stands for what was read of an object just made."""
    if isinstance(one, dict) and set(one) == {"$found"}:
        return True
    if isinstance(one, dict) and isinstance(sent, dict):
        return set(one) == set(sent) and all(fills(one[key], sent[key]) for key in one)
    if isinstance(one, list) and isinstance(sent, list):
        return len(one) == len(sent) and all(map(fills, one, sent))
    return (type(one), one) == (type(sent), sent)


def close(run):
    """What the close leaves: manifest and digest."""
    data = run.file("manifest.json")
    before = len(run.raw) - run.closed
    told = {"lines": before, "head": hexsha(run.raw[before - 1]) if before else "0" * 64}
    if not run.closed:
        try:
            manifest = load(data, "manifest")
        except Exception:  # none, or a crash left half of it
            manifest = told
        assert told.items() <= manifest.items(), "the manifest has other lines"
        return
    manifest = load(data, "manifest")
    assert hexsha(data) == run.records[-1]["manifest_sha256"], "another manifest"
    assert told.items() <= manifest.items() and manifest["run"] == run.lines[0]["run"], "a manifest of other lines"
    listed = {ref["path"]: ref for ref in manifest["files"]}
    assert run.tree - AT_CLOSE - LATER <= set(listed) <= run.tree, "the manifest lists other files"
    assert all(is_file_of(run, ref) for ref in listed.values()), "the manifest lists other bytes"
    digest = hexsha(run.file("journal.jsonl")) + "  journal.jsonl\n"
    assert run.file("journal.sha256") == digest.encode(), "another digest of the journal"


def seal(run):
    """The signatures, each where it was due."""
    case, name = (urllib.parse.quote(run.head[key], safe="-._~") for key in ("case", "run_id"))
    origin = f"staunch/case/{case}/run/{name}"
    run.signers, due = [], set()
    for seq, (rec, kind) in enumerate(zip(run.records, run.kinds)):
        if kind in ("run-opened", "resumed"):
            vkey = (rec["continues"] if seq else rec)["vkey"]
            assert key_of(vkey)[0] == origin, f"line {seq}: a key of another run"
            assert not run.signers or run.signers[-1][1] != vkey, f"line {seq}: the key of the process before"
            run.signers.append((seq, vkey))
        if kind in SIGNED and (run.kinds + ["resumed"])[seq + 1] != "resumed":  # before that it may have crashed
            due.add(f"checkpoints/{seq + 1:06}.note")
    due |= {f"checkpoints/{run.kinds.index('intent'):06}.note"} if "intent" in run.kinds else set()
    assert due <= run.notes, f"not signed: {due - run.notes}"

    def size_of(note):
        """How many lines a note signs, by the key of the process that wrote the last of them."""
        text, named, size, top, signatures = opened(note)
        name, ident, key = key_of(max(signer for signer in run.signers if signer[0] < size)[1])
        made = [one[4:] for of, one in signatures if of == name and one[:4] == ident]
        assert any(ed25519(key, text, one) for one in made), "the key of its time did not sign a note"
        assert (named, top) == (origin, root(run.leaves[:size])) and size <= len(run.leaves), "other lines were signed"
        return size

    for name in run.notes:
        size = size_of(run.file(name).decode())
        assert name == f"checkpoints/{size:06}.note", f"{name} signs {size} lines"
    for note in [rec["continues"].get("note") for rec in run.records if rec["type"] == "resumed"]:
        assert not note or size_of(note)
    note = run.file("seal.note")
    assert note or not run.closed, "the run is closed and not signed"
    if note is not None and (run.closed or opened(note.decode())[2] != len(run.raw) + 1):
        assert size_of(note.decode()) == len(run.raw), "the seal does not sign all lines"


def around(run):
    """The earlier runs of the case, and whoever else claims to be this run."""
    runs = run.runs()
    for one in run.records[0]["earlier"] if run.lines and runs else []:
        there = (plain(f"{runs}/{one['run']}/journal.jsonl") or b"").split(b"\n")
        assert one["lines"] and hexsha(there[one["lines"] - 1]) == one["head"], "an earlier run is gone or another"
        note = hexsha(plain(f"{runs}/{one['run']}/seal.note"))
        assert one.get("seal_sha256") in (None, note), "an earlier run has another seal"
    for other in os.scandir(runs) if run.lines and runs else []:
        if other.is_dir(follow_symlinks=False) and not os.path.samefile(other, run.path):
            try:
                claims = load(plain(other.path + "/run.json"), "header")["run_id"]
            except Exception:  # it is no run
                continue
            assert claims != run.head["run_id"], f"{other.name} claims to be this run"


def anchor(run):
    """What was noted elsewhere, and what was put to the seal: of these only that they are about it."""
    last = run.signers[-1][1] if run.signers else None
    assert last is None or not run.keys or last in run.keys, "signed by another key than was given"
    roots = {root(run.leaves[:size]) for size in range(len(run.leaves) + 1)} if run.roots else set()
    assert set(run.roots) <= roots, "a root was given that is not of these lines"
    stamp, made, note = run.file("seal.tsr"), run.file("seal.sig"), run.file("seal.note")
    assert stamp is None or sha(note) in stamp, "the stamp of another seal"
    if made is not None:
        armour = re.fullmatch(rb"\s*-----BEGIN SSH SIGNATURE-----(.*)-----END SSH SIGNATURE-----\s*", made, re.S)
        made = base64.b64decode(b"".join(armour[1].split()))
        assert made[:6] == b"SSHSIG" and b"\0\0\0\7staunch\0\0" in made, "not a signature of a seal"
    run.authentic = bool(last and run.keys) or root(run.leaves) in run.roots


def others(run):
    """The lines from which on somebody else went on than the header names: no fault, but to be told."""
    who = [run.head["identity"][key] for key in ("tenant_id", "app_id", "object_id")]
    taken = [(seq, rec.get("identity")) for seq, rec in enumerate(run.records) if rec["type"] == "resumed"]
    return [seq for seq, it in taken if it and [it[key] for key in ("tenant_id", "app_id", "object_id")] != who]


def verdict(run):
    """The word for a run, the layer that does not hold, and why not."""
    for layer in (form, chain, files, rules, close, seal, around, anchor):
        try:
            layer(run)
        except Exception as error:
            return "broken", "case" if layer is around else layer.__name__, f"{type(error).__name__}: {error}", []
    good = "authentic" if run.authentic else "consistent"
    return "torn-tail" if run.tail else good if run.closed else "open", None, None, others(run)


if __name__ == "__main__":
    noted = {text: re.fullmatch("[A-Za-z0-9+/]{43}=", text) for text in sys.argv[2:]}
    try:
        roots = [unbase(text) for text, is_root in noted.items() if is_root]
        keys = [text for text, is_root in noted.items() if not is_root and key_of(text)]
    except Exception:
        print("give keys and roots as the program shows them", file=sys.stderr)
        sys.exit(2)
    word, layer, why, notes = verdict(Run(sys.argv[1], keys, roots))
    print(json.dumps({"verdict": word, "layer": layer, "why": why, "other_identity": notes}))
    sys.exit(CODES[word])
