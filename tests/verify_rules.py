"""The rules of a run and the case around it, for verify.py."""
import os
import re

from verify_tools import read, sha


def story(records, plan):
    """No change without approval, snapshot and intent; nothing done that no read showed."""
    approved, of = False, {}
    for rec in records:
        kind, call = rec["type"], (rec.get("call"), rec.get("client_request_id"))
        it = of.setdefault(rec.get("change"), {"calls": {}, "seen": set()})
        assert kind != "approved" or rec["digest"] == plan["digest"], "another plan was approved"
        approved |= kind == "approved"
        if kind == "sealed" or kind == "observed" and rec["state"] is not None or rec.get("verdict") == "holds":
            it["seen"].add(rec.get("purpose", kind))
        elif kind == "intent":
            assert approved and "before" in it["seen"], "a call without approval or snapshot"
            secrets = [one for one in rec["request"].get("secrets", []) if one["hand_over"] == "sealed"]
            it["calls"][call] = secrets and plan["plan"].get("recipients")
            it["seen"] -= {"probe", "verified"}
        elif kind == "sent" and it["calls"][call] and rec["outcome"] != "not-sent":
            assert "sealed" in it["seen"], "a secret was sent that had not been sealed"
        elif kind == "ended":
            it["end"] = rec["outcome"]
            shown = it["calls"] and it["seen"] & {"probe", "verified"}
            assert shown or it["end"] not in ("done", "done-will-revert"), "called done, and no read showed it"
        elif kind == "closed":
            ends = [it["end"] for it in of.values() if "end" in it]
            assert {end: ends.count(end) for end in ends} == rec["outcomes"], "the last line counts other outcomes"
            assert all("end" in it for it in of.values() if it["calls"]), "a change has no end"


def strangers(head, records):
    """Processes that went on as somebody else to the tenant than the header names: no fault, but to be told."""
    who = lambda it: [it[k] for k in ("tenant_id", "app_id", "object_id")]
    others = [(seq, rec.get("identity")) for seq, rec in enumerate(records) if rec["type"] == "resumed"]
    return [f"line {seq}: another identity" for seq, it in others if it and who(it) != who(head["identity"])]


def around(run, head, records):
    """The earlier runs of the case, its sealed secrets, and whoever else claims to be this run; in a case only."""
    runs, here = os.path.split(os.path.realpath(run))
    if os.path.basename(runs) != "runs":
        return
    for one in records[0]["earlier"]:
        assert re.fullmatch("[A-Za-z0-9-]+", one["run"]), "not the id of a run"
        there = read(f"{runs}/{one['run']}/journal.jsonl").split(b"\n")
        assert sha(there[one["lines"] - 1]).hex() == one["head"], "an earlier run is another"
        if one["seal_sha256"]:
            seal = sha(read(f"{runs}/{one['run']}/seal.note")).hex()
            assert seal == one["seal_sha256"], "an earlier run has another seal"
    for rec in (rec for rec in records if rec["type"] == "sealed"):
        parts, path = rec["file"].split("/"), f"{runs}/../{rec['file']}"
        assert parts[0] == "handover" and not {"", ".", ".."} & set(parts) and "\\" not in rec["file"], "a path"
        assert not os.path.isfile(path) or sha(read(path)).hex() == rec["sha256"], "a sealed secret has other bytes"
    claim = f'"run_id": "{head["run_id"]}"'.encode()
    for header in (f"{runs}/{other}/run.json" for other in os.listdir(runs) if other != here):
        assert not os.path.isfile(header) or claim not in read(header), f"{header} claims to be this run"
