"""A stranger derives pairwise pseudonyms from the rule (PROTOCOL 9.16) and gets what the golden file says.

usage: pseudonyms.py

Exit code 1 on any difference.
"""
import hashlib
import hmac
import pathlib
import sys

GOLDEN = pathlib.Path(__file__).parent.parent / "compat/0.1.0/pseudonyms.txt"


def tag(key, message):
    return hmac.new(bytes.fromhex(key), message, hashlib.sha256)


found, wrong = 0, []
for line in GOLDEN.read_text().splitlines():
    sort, key, *rest = line.split()
    if sort == "index":
        reference, expected = rest
        derived = tag(key, reference.encode("ascii")).hexdigest()
    else:
        partner, epoch, expected = rest
        derived = tag(key, partner.encode("ascii") + int(epoch).to_bytes(8, "big")).hexdigest()[:32]
    found += 1
    if derived != expected:
        wrong.append(line)
print(f"pseudonyms: {found} derived, {len(wrong)} wrong")
for line in wrong:
    print("  " + line)
sys.exit(1 if wrong or found < 10 else 0)
