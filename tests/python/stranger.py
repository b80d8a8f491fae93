"""A stranger's first hour: what proto/README.md and deploy/samples say, done as they say it.

usage: stranger.py PROTO_DIR SOCKET_DIR OTHER_SOCKET_DIR      the first one publishes to the other one

The commands and the ten lines of the README are run as they stand there, the sample publishes and answers, and each field that the
README calls required is: without it a request is refused with the field's name, and with these alone it is taken. Exit code 1 on any miss.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import uuid

import grpc
from contract import channel, generate, module
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PROTO, SOCKETS, OTHER = (pathlib.Path(path).resolve() for path in sys.argv[1:4])
README = (PROTO / "README.md").read_text()
SAMPLE = PROTO.parent / "deploy" / "samples" / "first_client.py"
generate(PROTO)
local_pb, local_rpc = module("local.v1.record_pb2"), module("local.v1.record_pb2_grpc")
inbox_pb, inbox_rpc = module("local.v1.inbox_pb2"), module("local.v1.inbox_pb2_grpc")
alert_pb, handling_pb = module("record.v1.alert_pb2"), module("record.v1.handling_pb2")
practice_pb, sharing_pb = module("record.v1.practice_pb2"), module("local.v1.sharing_pb2")
node_pb, node_rpc = module("admin.v1.node_pb2"), module("admin.v1.node_pb2_grpc")
records = local_rpc.RecordServiceStub(channel(SOCKETS, "publisher"))
THEM = node_rpc.NodeServiceStub(channel(OTHER, "publisher")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def held(record):
    us = node_rpc.NodeServiceStub(channel(SOCKETS, "publisher")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
    return records.GetRecord(local_pb.GetRecordRequest(origin=us, record_id=bytes.fromhex(record)), timeout=10).record


def ten_lines(root):
    """The README's commands, in a folder that has proto/ and nothing else; then its ten lines."""
    (root / "proto").symlink_to(PROTO)
    shell, lines = (re.search(rf"```{kind}\n(.*?)```", README, re.S).group(1) for kind in ("sh", "python"))
    install, *commands = shell.strip().splitlines()
    check("the first command installs gRPC", install == "pip install grpcio grpcio-tools", install)
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    for command in commands:
        code, _, err = run("sh", "-c", command, cwd=root, env=os.environ | {"PATH": path})
        check(command, code == 0, err)
    lines = lines.replace("/run/havenlink", str(SOCKETS)).replace("de-kehl", THEM)
    check("it is ten lines", len(lines.strip().splitlines()) <= 10, lines)
    code, out, err = run(sys.executable, "-c", lines, cwd=root, env={"PATH": path, "PYTHONPATH": "out"})
    check("and publishes at the first attempt", code == 0 and held(out).content.alert.kind, err or out)


def sample(root):
    text = SAMPLE.read_text()
    check("the sample has at most sixty lines", len(text.splitlines()) <= 60)
    def sample_at(sockets, *words):
        return run(sys.executable, SAMPLE, PROTO, sockets, *words, cwd=root, env={"PATH": os.environ["PATH"]})

    code, out, err = sample_at(SOCKETS, "publish", THEM, "Leaflets promise kitchen work with lodging; the papers are kept.")
    check("it publishes at the first attempt", code == 0 and out.startswith("published "), err)
    record = out.removeprefix("published ")
    inbox = inbox_rpc.InboxServiceStub(channel(OTHER, "consumer"))
    asked = inbox_pb.ConsumeRequest(consumer=f"stranger-{uuid.uuid4()}"[:40], kinds=["RECORD_KIND_ALERT"])
    next(read for read in inbox.Consume(asked, timeout=240) if read.envelope.record_id.hex() == record)
    code, out, err = sample_at(OTHER, "answer")
    check("the other city's acknowledges what came", code == 0 and f"acknowledged {record}" in out, err or out)
    again = sample_at(OTHER, "answer")
    check("each once", again[0] == 0 and record not in again[1], again)
    answers = inbox_rpc.InboxServiceStub(channel(SOCKETS, "consumer"))
    asked = inbox_pb.ConsumeRequest(consumer=f"stranger-{uuid.uuid4()}"[:40], kinds=["RECORD_KIND_ANSWER"])
    references = (r.record_id.hex() for read in answers.Consume(asked, timeout=240) for r in read.envelope.references)
    check("and the answer is back", any(reference == record for reference in references))
    said = held(record).answers
    check("as what was said", [a.content.answer.kind for a in said] == [alert_pb.ANSWER_KIND_ACKNOWLEDGED], said)


def required():
    """Rows of the README's table: request → its fields, those of a detail joined to what they are a detail of."""
    table = README.split("<!-- required: tested -->")[1].split("<!-- /required -->")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.M)[1:]
    return {name: re.findall(r"`([a-z_.]+)`(?! \(or)", re.sub(r"\(or `.*?`\)", "", fields)) for name, fields in rows}


def common():
    return local_pb.PublishRecordRequest(
        request_id=str(uuid.uuid4()),
        sharing=sharing_pb.Sharing(
            recipients=[THEM], purpose="PURPOSE_PREVENTION", lawful_basis="LAWFUL_BASIS_PUBLIC_TASK",
            special_basis="SPECIAL_BASIS_NONE", status="RECORD_STATUS_TEST",
            handling=handling_pb.Handling(tlp="TLP_GREEN", pap="PAP_GREEN"),
        ),
    )


def alert(details):
    request = common()
    request.content.alert.CopyFrom(alert_pb.Alert(
        urgency="URGENCY_EXPECTED", severity="SEVERITY_MODERATE", certainty="CERTAINTY_POSSIBLE",
        assertion_basis="ASSERTION_BASIS_OBSERVED", place=handling_pb.Place(scheme="PLACE_SCHEME_NUTS", code="FRF11"), **details,
    ))
    return request


def advert():
    details = alert_pb.SuspiciousAdvertising(channel="ADVERT_CHANNEL_LEAFLET", adverts_seen=1)
    return alert({"kind": "ALERT_KIND_SUSPICIOUS_ADVERTISING", "suspicious_advertising": details})


def site():
    details = alert_pb.AtRiskSite(site_type="SITE_TYPE_HOSPITALITY", barrier_step="BARRIER_STEP_WORK")
    return alert({"kind": "ALERT_KIND_AT_RISK_SITE", "at_risk_site": details})


def practice():
    request = common()
    request.sharing.purpose = handling_pb.PURPOSE_LEARNING
    request.content.practice.CopyFrom(practice_pb.Practice(
        version=1, outcome="PRACTICE_OUTCOME_MIXED", topics=["PRACTICE_TOPIC_OUTREACH"],
        texts=[practice_pb.PracticeText(
            language="en", provenance="TRANSLATION_PROVENANCE_ORIGINAL", title="Evenings at the market",
            problem="Seasonal workers were not reached by day.", measure="Two evenings a week with interpreters.",
        )],
    ))
    return request


def leaves(message, before=""):
    """The paths of what is set."""
    for field, value in message.ListFields():
        path = before + field.name
        if field.message_type is None:
            yield path
        else:
            for inner in value if hasattr(value, "add") else [value]:
                yield from leaves(inner, f"{path}.")


def without(request, path):
    """The request without one field; `content.alert.place` is a whole message."""
    target, *rest = request, *path.split(".")
    for step in rest[:-1]:
        target = getattr(target, step)
        target = target[0] if hasattr(target, "add") else target
    target.ClearField(rest[-1])
    return request


def refused_field(request):
    try:
        records.PublishRecord(request, timeout=10)
        return None
    except grpc.RpcError as error:
        for detail in rpc_status.from_call(error).details:
            found = error_details_pb2.BadRequest()
            if detail.Unpack(found):
                return re.sub(r"\[\d+\]", "", found.field_violations[0].field)
        return f"{error.code()} {error.details()}"


def each_required_field(rows):
    every = rows["`PublishRecord`"]
    of_alert = [f"content.alert.{field}" for field in rows["`PublishRecord` of `content.alert`"]]
    kinds = {
        "advert": (advert, of_alert + [f"content.alert.suspicious_advertising.{f}" for f in rows["… `suspicious_advertising`"]]),
        "site": (site, of_alert + [f"content.alert.at_risk_site.{f}" for f in rows["… `at_risk_site`"]]),
        "practice": (practice, [f"content.practice.{f}" for f in rows["`PublishRecord` of `content.practice`"]]),
    }
    for name, (make, own) in kinds.items():
        named = set(every) - {"content"} | set(own)
        check(f"a request has what is required and nothing else: {name}", set(leaves(make())) == named, named ^ set(leaves(make())))
        check(f"and is taken: {name}", refused_field(make()) is None, refused_field(make()))
        for path in sorted(named | {"content"}):
            told = refused_field(without(make(), path))
            check(f"{name} without {path} is refused by its name", told is not None and told.split(".")[-1] == path.split(".")[-1], told)


print(f"a stranger with proto/ alone, partner {THEM}")
with tempfile.TemporaryDirectory(prefix="havenlink-stranger-") as root:
    ten_lines(pathlib.Path(root))
    sample(pathlib.Path(root))
    each_required_field(required())
sys.exit(1 if failed else 0)
