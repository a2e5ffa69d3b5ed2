#!/usr/bin/env python3
"""verify.py RUN [VKEY...]: verifies a run's folder after docs/evidence-format.md, with the standard library alone.

Prints one JSON object. Ends with 0 for authentic (a key was given) and consistent (none was), with 5 for all else.
Written from the page, not from the program; the program's tests run the two against each other."""
import base64, hashlib, json, os, re, sys, urllib.parse

HEX = lambda data: hashlib.sha256(data).hexdigest()
H = lambda data: hashlib.sha256(data).digest()
B64 = lambda text: base64.b64decode(text, validate=True)
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, 5.1
D = -121665 * pow(121666, -1, P) % P

def add(a, b):
    e, f, c, d = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0]), 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    return (f - e) * (d - c) % P, (d + c) * (f + e) % P, (d - c) * (d + c) % P, (f - e) * (f + e) % P

def mul(n, point, total=(0, 1, 1, 0)):
    while n:
        total, point, n = add(total, point) if n & 1 else total, add(point, point), n >> 1
    return total

def point(data):
    y = int.from_bytes(data, "little") & (2**255 - 1)
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if (x * x - xx) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    assert y < P and (x * x - xx) % P == 0, "not a point of the curve"
    x = x if x & 1 == data[31] >> 7 else P - x
    return x, y, 1, x * y % P

def ed25519(key, text, made):
    s, k = int.from_bytes(made[32:], "little"), int.from_bytes(hashlib.sha512(made[:32] + key + text).digest(), "little")
    a, b = mul(s, point(b"\x58" + b"\x66" * 31)), add(point(made[:32]), mul(k % L, point(key)))
    return len(made) == 64 and s < L and not any((a[i] * b[2] - b[i] * a[2]) % P for i in (0, 1))

def root(leaves):  # RFC 6962, 2.1
    half = 1 << max(len(leaves) - 1, 0).bit_length() - 1 if len(leaves) > 1 else 0
    return H(b"\1" + root(leaves[:half]) + root(leaves[half:])) if half else leaves[0] if leaves else H(b"")

def signed(note, vkey):  # origin, size and root that this key signed
    name, ident, key = vkey.split("+", 2)
    text, _, below = note.rpartition("\n\n")
    lines = [B64(line.split(" ")[2]) for line in below.splitlines() if line.startswith(f"\u2014 {name} ")]
    short = H(name.encode() + b"\n" + B64(key))[:4]
    assert short.hex() == ident and B64(key)[0] == 1, "bad key"
    assert any(s[:4] == short and ed25519(B64(key)[1:], text.encode() + b"\n", s[4:]) for s in lines), "bad signature"
    origin, size, top = text.split("\n")
    return origin, int(size), B64(top)

def once(pairs):
    assert len(dict(pairs)) == len(pairs), "a key is named twice"
    return dict(pairs)

def read(path, ref=None):
    assert os.path.isfile(path) and not os.path.islink(path) and not os.path.islink(os.path.dirname(path)), path
    data = open(path, "rb").read()
    assert ref is None or (len(data), HEX(data)) == (ref["len"], ref["sha256"]), f"{path} has other bytes"
    return data

def check(run, trusted):
    load = lambda data: json.loads(data, object_pairs_hook=once)
    *raw, tail = read(f"{run}/journal.jsonl").split(b"\n")
    head, plan, lines = load(read(f"{run}/run.json")), load(read(f"{run}/plan.json")), [load(line) for line in raw]
    text = re.search(rb'"plan":\s*(.*\S)\s*\}\s*$', read(f"{run}/plan.json"), re.S)[1]
    assert plan["digest"] == "sha256:" + HEX(text), "the plan's digest"
    kinds, leaves = [line["record"]["type"] for line in lines], [H(b"\0" + line) for line in raw]
    origin = "staunch/case/%s/run/%s" % tuple(urllib.parse.quote(head[k], safe="-._~") for k in ("case", "run_id"))
    prev, mono, keys, due, of = "0" * 64, 0, [], set(), {}
    closed, known = "closed" in kinds, {"run.json": None, "plan.json": None, "playbook.yaml": None}
    for seq, (line, kind) in enumerate(zip(lines, kinds)):
        rec, it = line["record"], of.setdefault(line["record"].get("change"), {})
        assert (line["seq"], line["run"], line["prev"]) == (seq, head["run_id"], prev), f"line {seq} is not in its place"
        assert (kind == "run-opened") == (seq == 0) and (kind != "closed" or seq + 1 == len(raw)), f"line {seq}: {kind}"
        assert line["mono_ms"] >= mono or kind == "resumed", f"line {seq}: the clock ran backwards"
        prev, mono = HEX(raw[seq]), line["mono_ms"]
        for n, ev in enumerate(line["ev"]):
            names, form = ev["head"]["path"] + " " + ev["body"]["path"], rf"evidence/{seq:06}-{n}-[a-z0-9-]*"
            assert re.fullmatch(rf"{form}\.head {form}\.body", names), f"line {seq}: evidence under another name"
            asked = load(read(f"{run}/{ev['head']['path']}", ev["head"]))
            assert asked["client_request_id"] == ev["client_request_id"], f"line {seq}: evidence of another request"
            known |= {ev["head"]["path"]: ev["head"], ev["body"]["path"]: ev["body"]}
        kept = (rec.get("torn") or {}).get("kept", [])
        assert all(re.fullmatch(r"((evidence|checkpoints)/)?[a-z0-9.-]+\.torn(\.\d+)?", ref["path"]) for ref in kept), "name"
        known |= {ref["path"]: ref for ref in kept}
        if kind in ("run-opened", "resumed"):
            last, keys = keys[-1:], keys + [(seq, (rec if seq == 0 else rec["continues"])["vkey"])]
            assert keys[-1][1].startswith(origin + "+") and keys[-1][1] not in [k for _, k in last], "a foreign key"
            assert seq == 0 or (rec["records"], B64(rec["continues"]["root"])) == (seq, root(leaves[:seq])), "resumed"
            if old := seq and rec["continues"]["note"]:
                of_old = signed(old, max(key for key in keys if key[0] < int(old.split("\n")[1]))[1])
                assert of_old == (origin, of_old[1], root(leaves[: of_old[1]])), "what is continued was not signed"
        if kind == "intent" and "intent" not in kinds[:seq]:
            due.add(seq)
        if kind in ("run-opened", "approved", "stage-ended", "resumed", "interrupted"):
            due |= set() if (kinds + ["resumed"])[seq + 1] == "resumed" else {seq + 1}  # it may have crashed here
        rule(kind, rec, it, plan, "approved" in kinds[:seq])
    for name, path in (("header", "run.json"), ("plan", "plan.json"), ("playbook", "playbook.yaml")):
        found = HEX(read(f"{run}/{path}")) if os.path.lexists(f"{run}/{path}") else None
        assert found == lines[0]["record"][name + "_sha256"], f"{path} is not the one of line 0"
    runs = os.path.dirname(os.path.realpath(run))
    for one in lines[0]["record"]["earlier"] if runs.endswith("/runs") else []:
        there = read(f"{runs}/{one['run']}/journal.jsonl").split(b"\n")
        assert HEX(there[one["lines"] - 1]) == one["head"], "an earlier run is another"
        assert one["seal_sha256"] in (None, one["seal_sha256"] and HEX(read(f"{runs}/{one['run']}/seal.note")))
    names = [f"checkpoints/{name}" for name in os.listdir(f"{run}/checkpoints")] + ["seal.note"] * closed
    sizes, torn = {}, re.compile(r".*\.torn(\.\d+)?")
    for name in [name for name in names if not torn.fullmatch(name)]:
        note = read(f"{run}/{name}").decode()
        size = int(note.split("\n")[1])
        assert signed(note, max(key for key in keys if key[0] < size)[1]) == (origin, size, root(leaves[:size])), name
        right = "seal.note" if closed and size == len(raw) else f"checkpoints/{size:06}.note"
        assert name == right and size <= len(raw), f"{name} signs {size} lines"
        sizes[size], known[name] = name, None
    assert due <= set(sizes) and (not closed or len(raw) in sizes), f"not signed at {due - set(sizes)}"
    assert all(read(f"{run}/{path}", ref) is not None for path, ref in known.items() if ref), "evidence"
    tree = {os.path.relpath(os.path.join(at, name), run) for at, dirs, files in os.walk(run) for name in files + dirs}
    tree -= {name for name in tree if name.split("/")[0] == "derived"} | {"evidence", "checkpoints"}
    more = {"journal.jsonl", "manifest.json", "journal.sha256", "seal.note"}
    left = {name for name in tree if torn.fullmatch(name) or re.match(r"evidence/\d{6}", name) and int(name[9:15]) >= len(raw)}
    assert not tree - set(known) - more - (set() if closed else left), "a file that no line names"
    manifest = load(read(f"{run}/manifest.json")) if closed or "manifest.json" in tree else {"lines": len(raw) - closed}
    assert manifest["lines"] == len(raw) - closed, "the manifest has other lines"
    if closed:
        assert HEX(read(f"{run}/manifest.json")) == lines[-1]["record"]["manifest_sha256"] and not tail, "the close"
        assert read(f"{run}/journal.sha256").decode() == HEX(read(f"{run}/journal.jsonl")) + "  journal.jsonl\n", "digest"
        assert all(read(f"{run}/{ref['path']}", ref) is not None for ref in manifest["files"]), "manifest"
        assert {ref["path"] for ref in manifest["files"]} == tree - more, "the manifest lists other files"
        ends = [it["ended"] for it in of.values() if "ended" in it]
        assert {end: ends.count(end) for end in ends} == lines[-1]["record"]["outcomes"], "other outcomes"
        assert all("ended" in it for it in of.values() if it.get("calls")), "a change has no end"
    assert not trusted or keys[-1][1] in trusted, "signed by another key than was given"
    return "torn-tail" if tail else "open" if not closed else "authentic" if trusted else "consistent"

def rule(kind, rec, it, plan, approved):  # no change without approval, snapshot and intent; nothing done unseen
    call = rec.get("call"), rec.get("client_request_id")
    if kind == "observed" and rec["state"] is not None:
        it["before" if rec["purpose"] == "before" else "shown"] = True
    elif kind == "intent":
        seals = plan["plan"].get("recipients") and any(one["hand_over"] == "sealed" for one in rec["request"].get("secrets", []))
        it["calls"], it["shown"] = it.get("calls", {}) | {call: seals}, False
    elif kind == "sealed" or kind == "verified" and rec["verdict"] == "holds":
        it["sealed" if kind == "sealed" else "shown"] = True
    elif kind == "ended":
        it["ended"] = rec["outcome"]
    is_done = kind == "ended" and rec["outcome"] in ("done", "done-will-revert")
    assert kind != "approved" or rec["digest"] == plan["digest"], "another plan was approved"
    assert kind != "intent" or approved and it.get("before"), "a call without approval or snapshot"
    assert kind != "sent" or not it["calls"][call] or rec["outcome"] == "not-sent" or it.get("sealed"), "not sealed"
    assert not is_done or it.get("calls") and it["shown"], "called done, and no read showed it"

if __name__ == "__main__":
    try:
        verdict, why = check(sys.argv[1], sys.argv[2:]), None
    except Exception as error:
        verdict, why = "broken", f"{type(error).__name__}: {error}"
    print(json.dumps({"verdict": verdict, "why": why}))
    sys.exit(0 if verdict in ("authentic", "consistent") else 5)
