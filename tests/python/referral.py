"""A stranger's client: with proto/ alone it refers a person who agreed to it, has her taken on, withdraws, and reads what the partner signed.

usage: referral.py PROTO_DIR SOCKET_DIR OTHER_SOCKET_DIR      the first one refers to the other one

Exit code 1 on any miss.
"""
import hashlib
import sys
import time
import uuid

import grpc
from contract import channel, generate, module, reason
from persons import given, new_case

PROTO, SOCKETS, OTHER = sys.argv[1:4]
generate(PROTO)
pb, rpc = module("local.v1.referral_pb2"), module("local.v1.referral_pb2_grpc")
share_pb, share_rpc = module("local.v1.agreement_to_share_pb2"), module("local.v1.agreement_to_share_pb2_grpc")
local_pb, local_rpc = module("local.v1.record_pb2"), module("local.v1.record_pb2_grpc")
node_pb, node_rpc = module("admin.v1.node_pb2"), module("admin.v1.node_pb2_grpc")
directory_pb, directory_rpc = module("directory.v1.directory_pb2"), module("directory.v1.directory_pb2_grpc")
referral_pb, handling_pb = module("record.v1.referral_pb2"), module("record.v1.handling_pb2")
envelope_pb, signed_pb = module("record.v1.envelope_pb2"), module("record.v1.signed_pb2")
withdrawal_pb, offer_pb = module("record.v1.withdrawal_pb2"), module("record.v1.offer_pb2")

referrals = rpc.ReferralServiceStub(channel(SOCKETS, "coordinator"))
officer = rpc.ReferralServiceStub(channel(SOCKETS, "data-protection"))
shares = share_rpc.AgreementToShareServiceStub(channel(SOCKETS, "coordinator"))
theirs = local_rpc.RecordServiceStub(channel(OTHER, "coordinator"))
US, THEM = (
    node_rpc.NodeServiceStub(channel(sockets, "operator")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
    for sockets in (SOCKETS, OTHER)
)
CASE = new_case()
failed = 0


def check(what, holds, seen=""):
    global failed
    print(f"  {what}" if holds else f"  FAILED {what}: {seen}")
    failed += not holds


def refused(what, call, expected):
    try:
        check(what, False, call())
    except grpc.RpcError as error:
        check(what, reason(error) == expected, reason(error))


def until(what, found):
    """What `found` gives as soon as it gives something; a call that is refused gives nothing yet."""
    ends, seen = time.monotonic() + 120, None
    while time.monotonic() < ends:
        try:
            if (seen := found()) is not None:
                return seen
        except grpc.RpcError as error:
            seen = reason(error)
        time.sleep(0.2)
    sys.exit(f"  FAILED {what}: {seen}")


def send():
    asked = pb.SendReferralRequest(
        request_id=str(uuid.uuid4()),
        case_reference=CASE,
        recipient=THEM,
        purpose=handling_pb.PURPOSE_ASSISTANCE,
        status=handling_pb.RECORD_STATUS_TEST,
        referral=referral_pb.Referral(
            form=referral_pb.REFERRAL_FORM_ASKED,
            service=offer_pb.SERVICE_KIND_LONG_TERM_REFUGE,
            urgency=referral_pb.REFERRAL_URGENCY_TONIGHT,
            household=referral_pb.HOUSEHOLD_SHAPE_ONE_ADULT,
            age_band=referral_pb.AGE_BAND_NOT_SAID,
            languages=["ro"],
            callback_phone="+33199001234",
        ),
    )
    return referrals.SendReferral(asked, timeout=10).record_id


def received(record):
    """The referral at the partner, if it is there."""
    asked = local_pb.ListRecordsRequest(kind=envelope_pb.RECORD_KIND_REFERRAL, page_size=100)
    held = theirs.ListRecords(asked, timeout=10).records
    return next((one for one in held if one.record_id == record and one.origin == US), None)


def accept(record):
    answer = referral_pb.Referral(form=referral_pb.REFERRAL_FORM_ACCEPTED)
    said = local_pb.AnswerRecordRequest(
        request_id=str(uuid.uuid4()), origin=US, record_id=record, answer=local_pb.Content(referral=answer)
    )
    return theirs.AnswerRecord(said, timeout=10).record_id


def erasure(record):
    rows = referrals.ListErasures(pb.ListErasuresRequest(), timeout=10).erasures
    return next(row for row in rows if row.record_id == record)


def read_receipt(record, row):
    """The bytes that the partner signed, by the contract alone: who says what of which record, and under which key."""
    signed, envelope, said = signed_pb.Signed(), envelope_pb.Envelope(), withdrawal_pb.ErasureReceipt()
    signed.ParseFromString(row.receipt)
    check("what is signed is an envelope", signed.type == "havenlink.record.v1.Envelope", signed.type)
    envelope.ParseFromString(signed.payload)
    pair = (envelope.origin, envelope.recipient, envelope.kind)
    check("from the partner to us, a receipt", pair == (THEM, US, envelope_pb.RECORD_KIND_ERASURE_RECEIPT), pair)
    said.ParseFromString(envelope.body)
    check("of this record", said.record_id == record, said.record_id.hex())
    check("nothing is left of it there", said.outcome == withdrawal_pb.ERASURE_OUTCOME_DONE, said.outcome)
    check("since after she withdrew", said.at_ms >= row.noticed_ms - 120_000, (said.at_ms, row.noticed_ms))
    directory = directory_rpc.DirectoryServiceStub(channel(SOCKETS, "operator"))
    member = directory.Get(directory_pb.GetRequest(authority=THEM), timeout=10).member
    key_id = hashlib.sha256(member.entry.authority_key).digest()[:16]
    keys = [signature.key_id for signature in signed.signatures]
    check("under the key that the register lists", keys == [key_id], keys)


print("a referral:")
refused("nobody is referred who was not asked", send, "NO_AGREEMENT_TO_SHARE")
shares.GiveAgreementToShare(given(CASE, THEM, uses=2), timeout=10)
record = until("it is sent", send)
held = until("it arrives", lambda: received(record))
check("its recipient has no reference of the case", CASE.encode() not in held.SerializeToString())
until("she is taken on", lambda: accept(record))
withdraw = share_pb.WithdrawAgreementsToShareRequest(request_id=str(uuid.uuid4()), case_reference=CASE)
check("one call withdraws", len(shares.WithdrawAgreementsToShare(withdraw, timeout=10).share_ids) == 1)
refused("nothing is sent after that", send, "NO_AGREEMENT_TO_SHARE")
row = until("the partner answers", lambda: (row := erasure(record)).state == pb.DISCLOSURE_STATE_DONE and row or None)
check("its list has it no more", received(record) is None)
read_receipt(record, row)
mine = officer.ListDisclosures(pb.ListDisclosuresRequest(case_reference=CASE), timeout=10).disclosures
check("the officer finds it for her", [one.record_id for one in mine] == [record], mine)
sys.exit(1 if failed else 0)
