#!/usr/bin/env python3
"""verify.py RUN [KEY | ROOT]...: verifies a run's folder after docs/evidence-format.md, with the standard library.
Written from that page, not from the program, whose tests hold the two against each other."""
import json, os, re, sys, urllib.parse
from verify_rules import around, story, strangers
from verify_tools import load, opened, read, root, sha, unbase

CODES = {"authentic": 0, "consistent": 50, "open": 51, "torn-tail": 52, "broken": 5}
SIGNED = {"run-opened", "approved", "stage-ended", "resumed", "interrupted"}  # kinds of line after which a note is due
KINDS = SIGNED | set("stage-started observed sealed intent sent reconciled decided verified ended closed".split())
TORN = r"((evidence|checkpoints)/)?[a-z0-9.-]+\.torn(\.\d+)?"
AT_CLOSE = {"manifest.json", "journal.sha256", "seal.note"}
LATER = {"seal.tsr", "seal.sig"}  # may be added to a closed run

def chain(run, head, raw, lines):  # each line behind the line before it; gives the files that they name
    prev, mono, known = "0" * 64, 0, {}
    for seq, line in enumerate(lines):
        rec, kind, place = line["record"], line["record"]["type"], (seq, head["run_id"], prev)
        assert kind in KINDS and (kind == "run-opened") == (seq == 0), f"line {seq}: {kind}"
        assert (line["seq"], line["run"], line["prev"]) == place, f"line {seq} does not follow the line before it"
        assert line["mono_ms"] >= mono or kind == "resumed", f"line {seq}: the clock ran backwards"
        assert kind != "closed" or seq + 1 == len(lines), f"line {seq} is not the last"
        prev, mono = sha(raw[seq]).hex(), line["mono_ms"]
        for n, ev in enumerate(line["ev"]):
            names, form = ev["head"]["path"] + " " + ev["body"]["path"], rf"evidence/{seq:06}-{n}-[a-z0-9-]*"
            assert re.fullmatch(rf"{form}\.head {form}\.body", names), f"line {seq}: evidence has another name"
            known |= {ev["head"]["path"]: ev["head"], ev["body"]["path"]: ev["body"]}
            asked = load(read(f"{run}/{ev['head']['path']}"))["client_request_id"]
            assert asked == ev["client_request_id"], f"line {seq}: evidence of another request"
        kept = {ref["path"]: ref for ref in (rec.get("torn") or {}).get("kept", [])}
        assert all(re.fullmatch(TORN, path) for path in kept), f"line {seq}: what a crash left has another name"
        known |= kept
    return known

def signatures(run, head, leaves, records, notes):  # each where it was due; gives the key of the last process
    origin = "staunch/case/{}/run/{}".format(*(urllib.parse.quote(head[k], safe="-._~") for k in ("case", "run_id")))
    kinds, keys, due = [rec["type"] for rec in records], [(-1, None)], set()
    def size_of(note):  # that the key of the process which wrote the last of its lines signed exactly these
        size = int(note.split("\n")[1])
        vkey = max(key for key in keys if key[0] < size)[1]
        assert opened(note, vkey) == (origin, size, root(leaves[:size])), "other lines were signed"
        return size
    for seq, (rec, kind) in enumerate(zip(records, kinds)):
        if kind in ("run-opened", "resumed"):
            more = rec["continues"] if seq else rec
            assert more["vkey"].startswith(origin + "+") and more["vkey"] != keys[-1][1], f"line {seq}: a foreign key"
            keys.append((seq, more["vkey"]))
            if seq:
                same = (rec["records"], unbase(more["root"])) == (seq, root(leaves[:seq]))
                assert same and (not more["note"] or size_of(more["note"]) <= seq), f"line {seq} continues other lines"
        if kind in SIGNED and (kinds + ["resumed"])[seq + 1] != "resumed":  # before that it may have crashed
            due.add(f"checkpoints/{seq + 1:06}.note")
    due |= {f"checkpoints/{kinds.index('intent'):06}.note"} if "intent" in kinds else set()
    due |= {"seal.note"} if "closed" in kinds else set()
    for name in notes:
        size = size_of(read(f"{run}/{name}").decode())
        assert name in (f"checkpoints/{size:06}.note", "seal.note"), f"{name} signs {size} lines"
        assert name != "seal.note" or size == len(leaves), "the seal does not cover all lines"
    assert due <= set(notes), f"not signed: {due - set(notes)}"
    return keys[-1][1]

def files(run, head, raw, records, known):  # those that lines and the close name, and no others; gives the notes
    tree = {os.path.relpath(os.path.join(at, one), run) for at, dirs, names in os.walk(run) for one in dirs + names}
    tree = {name for name in tree if not name.startswith("derived/")}
    assert not any(os.path.islink(f"{run}/{name}") for name in tree), "a link"
    first, closed = records[0], records[-1]["type"] == "closed"
    for name, path in (("header", "run.json"), ("plan", "plan.json"), ("playbook", "playbook.yaml")):
        found = sha(read(f"{run}/{path}")).hex() if os.path.lexists(f"{run}/{path}") else None
        assert found == first[f"{name}_sha256"], f"{path} is not the one of line 0"
    named = head["plan_sha256"], (head["playbook"] or {}).get("sha256")
    assert named == (first["plan_sha256"], first["playbook_sha256"]), "the header names another plan or playbook"
    notes = {name for name in tree if name.startswith("checkpoints/") and not re.fullmatch(TORN, name)}
    free = {"evidence", "checkpoints", "derived", "journal.jsonl"} | AT_CLOSE | (LATER if closed else set())
    rest = tree - free - notes - set(known) - {"run.json", "plan.json", "playbook.yaml"}
    if not closed:  # what belongs to a line that may still come, or was set aside for one
        of_later = {name for name in rest if re.match(r"evidence/\d{6}-", name) and int(name[9:15]) >= len(raw)}
        rest -= of_later | {name for name in rest if re.fullmatch(TORN, name)}
    assert not rest, f"no line names {rest}"
    assert all(read(f"{run}/{path}", ref) is not None for path, ref in known.items())
    if closed or "manifest.json" in tree:
        manifest = load(read(f"{run}/manifest.json"))
        told = head["run_id"], len(raw) - closed, sha(raw[len(raw) - closed - 1]).hex()
        assert (manifest["run"], manifest["lines"], manifest["head"]) == told, "the manifest has other lines"
    if closed:
        assert sha(read(f"{run}/manifest.json")).hex() == records[-1]["manifest_sha256"], "another manifest"
        whole = sha(read(f"{run}/journal.jsonl")).hex() + "  journal.jsonl\n"
        assert read(f"{run}/journal.sha256").decode() == whole, "another digest of the journal"
        listed = {ref["path"]: ref for ref in manifest["files"]}
        assert set(listed) == tree - free | notes, "the manifest lists other files"
        assert all(read(f"{run}/{path}", ref) is not None for path, ref in listed.items())
        assert "seal.tsr" not in tree or sha(read(f"{run}/seal.note")) in read(f"{run}/seal.tsr"), "another stamp"
    elif "seal.note" in tree:
        assert read(f"{run}/seal.note").split(b"\n")[1] == b"%d" % (len(raw) + 1), "lines after the seal are gone"
    return sorted(notes) + ["seal.note"] * closed

def check(run, given):
    *raw, tail = read(f"{run}/journal.jsonl").split(b"\n")
    head, plan, lines = load(read(f"{run}/run.json")), read(f"{run}/plan.json"), [load(line) for line in raw]
    records, leaves = [line["record"] for line in lines], [sha(b"\0" + line) for line in raw]
    of_plan = sha(re.search(rb'"plan":\s*(.*\S)\s*\}\s*$', plan, re.S)[1]).hex()
    assert load(plan)["digest"] == f"sha256:{of_plan}", "the plan is not the one of its digest"
    known, closed = chain(run, head, raw, lines), records[-1]["type"] == "closed"
    key = signatures(run, head, leaves, records, files(run, head, raw, records, known))
    story(records, load(plan)), around(run, head, records)
    roots = {unbase(one) for one in given if re.fullmatch("[A-Za-z0-9+/]{43}=", one)}
    keys = [one for one in given if one.startswith("staunch/")]
    assert not keys or key in keys, "signed by another key than was given"
    assert not roots or roots <= {root(leaves[:size + 1]) for size in range(len(leaves))}, "another root than was given"
    assert not (closed and tail), "bytes stand after the last line"
    good = "authentic" if keys or root(leaves) in roots else "consistent"
    return ("torn-tail" if tail else good if closed else "open"), strangers(head, records)

if __name__ == "__main__":
    try:
        (verdict, notes), why = check(sys.argv[1], sys.argv[2:]), None
    except Exception as error:
        verdict, notes, why = "broken", [], f"{type(error).__name__}: {error}"
    print(json.dumps({"verdict": verdict, "why": why, "notes": notes}))
    sys.exit(CODES[verdict])
