"""What a stranger says when a person agreed to be referred: the notice, what is shared with whom and for how long, and how it was given."""
import hashlib
import time
import uuid

from contract import module

DAY = 86_400_000


def new_case():
    """A reference of the caller's own. Letters: a run of digits may look like a phone number, which no reference may have."""
    return "PY-" + "".join(chr(65 + byte % 26) for byte in uuid.uuid4().bytes[:8]) + "-1"


def given(case, them, uses=1, **circumstances):
    """A request that a node takes; `circumstances` say how it was given otherwise than freely."""
    pb, share_pb = module("local.v1.agreement_to_share_pb2"), module("record.v1.share_pb2")
    handling_pb, practice_pb = module("record.v1.handling_pb2"), module("record.v1.practice_pb2")
    now = int(time.time() * 1000)
    how = dict(
        mode=pb.NOTICE_MODE_INTERPRETED,
        interpreter=pb.INTERPRETER_INDEPENDENT,
        setting=pb.SHARE_SETTING_SHELTER,
        exploiter_excluded=True,
    )
    scope = pb.ShareScopeTerms(
        scope=share_pb.SHARE_SCOPE_REFERRAL_SHELTER,
        purposes=[handling_pb.PURPOSE_ASSISTANCE],
        recipients=[them],
        countries=[them[:2]],
        expires_ms=now + 30 * DAY,
        erase_by_ms=now + 60 * DAY,
        uses=uses,
    )
    notice = pb.ShareNotice(
        version="3",
        hash=hashlib.sha256(b"the text of the notice").digest(),
        language="ro",
        provenance=practice_pb.TRANSLATION_PROVENANCE_HUMAN,
    )
    terms = pb.ShareTerms(
        notice=notice,
        scopes=[scope],
        lawful_basis=handling_pb.LAWFUL_BASIS_PUBLIC_TASK,
        special_basis=handling_pb.SPECIAL_BASIS_HEALTH_OR_SOCIAL_CARE,
        provision="CASF L116-1",
        reconfirm_by_ms=now + 90 * DAY,
    )
    return pb.GiveAgreementToShareRequest(
        request_id=str(uuid.uuid4()),
        case_reference=case,
        terms=terms,
        subject=pb.ShareSubject(age=pb.AGE_ASSESSMENT_ADULT),
        decider=pb.ShareDecider(kind=pb.DECIDER_KIND_PERSON),
        circumstances=pb.ShareCircumstances(**(how | circumstances)),
    )
