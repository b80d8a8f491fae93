"""A stranger's client: with proto/ alone it writes down what a person let be shared, asks what that opens, and withdraws it.

usage: agreement_to_share.py PROTO_DIR SOCKET_DIR OTHER_SOCKET_DIR

Exit code 1 on any miss.
"""
import sys
import uuid

import grpc
from contract import channel, generate, module, reason
from persons import given as request, new_case

PROTO, SOCKETS, OTHER = sys.argv[1:4]
generate(PROTO)
pb, rpc = module("local.v1.agreement_to_share_pb2"), module("local.v1.agreement_to_share_pb2_grpc")
handling_pb, share_pb = module("record.v1.handling_pb2"), module("record.v1.share_pb2")
node_pb, node_rpc = module("admin.v1.node_pb2"), module("admin.v1.node_pb2_grpc")

shares = rpc.AgreementToShareServiceStub(channel(SOCKETS, "coordinator"))
THEM = node_rpc.NodeServiceStub(channel(OTHER, "operator")).GetStatus(node_pb.GetStatusRequest(), timeout=10).authority
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


def opens():
    asked = pb.CheckAgreementToShareRequest(
        case_reference=CASE,
        scope=share_pb.SHARE_SCOPE_REFERRAL_SHELTER,
        purpose=handling_pb.PURPOSE_ASSISTANCE,
        recipient=THEM,
    )
    return shares.CheckAgreementToShare(asked, timeout=10)


print("agreements to share:")
refused("nothing opens before she was asked", opens, "NO_AGREEMENT_TO_SHARE")
unfree = request(CASE, THEM, interpreter=pb.INTERPRETER_COMPANION)
refused("a companion interpreted: not given", lambda: shares.GiveAgreementToShare(unfree, timeout=10), "SHARING_NOT_FREE")
given = request(CASE, THEM)
share_id = shares.GiveAgreementToShare(given, timeout=10).share_id
check("said again, it is the same one", shares.GiveAgreementToShare(given, timeout=10).share_id == share_id)
check("it opens for whom she named", opens().share_id == share_id)
held = shares.ShowAgreementsToShare(pb.ShowAgreementsToShareRequest(case_reference=CASE), timeout=10).agreements
check("its case shows it", [one.standing for one in held] == [pb.SHARE_STANDING_GIVEN], held)
withdraw = pb.WithdrawAgreementsToShareRequest(request_id=str(uuid.uuid4()), case_reference=CASE)
check("one call withdraws it", list(shares.WithdrawAgreementsToShare(withdraw, timeout=10).share_ids) == [share_id])
refused("nothing opens after that", opens, "NO_AGREEMENT_TO_SHARE")
sys.exit(1 if failed else 0)
