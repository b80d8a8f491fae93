#!/usr/bin/env python3
"""Writes node/domain/src/screen/plans.txt from the metadata of libphonenumber: python3 plans.py > plans.txt

Needs `pip install phonenumbers` (the port that carries the metadata as published). The screen has no room for the whole of it
(node/decisions/058-screening.md), so what it asks is worked out here, as sets of the first three digits:

  code CC LENGTHS       a country calling code, and how long the numbers behind it may be
  zero LENGTH SET       what may follow a 0 that is dialled within a country, by the number of digits behind it
  plain LENGTH SET      numbers of Europe and around it that are written without a 0 before them
  group N+N+N SET       a published way of grouping, and what numbers grouped like that begin with
"""

import re
import sys
from re import _parser as sre

import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.data import _ALT_NUMBER_FORMATS

# Members of the Council of Europe and who borders on them, and the plan of North America, which is met most often.
NEAR = set(
    "AL AD AM AT AZ BA BE BG BY CH CY CZ DE DK DZ EE EG ES FI FR GB GE GR HR HU IE IS IT KZ LB LI LT LU LV LY MA MC MD ME MK "
    "MT NL NO PL PT RO RS RU SE SI SK SM SY TN TR UA US XK".split()
)
DEPTH = 3
DIGITS = "0123456789"
TYPES = ("fixed_line mobile toll_free premium_rate shared_cost personal_number voip uan voicemail pager").split()


class Automaton:
    """A pattern over digits, as sets of states."""

    def __init__(self, pattern):
        self.steps, self.empty = {}, {}
        self.count = 0
        self.start = self.state()
        self.end = self.build(sre.parse(re.sub(r"\s+", "", pattern)), self.start)
        self.left = {}

    def state(self):
        self.count += 1
        return self.count

    def build(self, tree, at):
        for op, value in tree:
            name = str(op)
            if name in ("LITERAL", "IN"):
                to = self.state()
                for digit in self.digits(name, value):
                    self.steps.setdefault((at, digit), set()).add(to)
                at = to
            elif name == "SUBPATTERN":
                at = self.build(value[3], at)
            elif name == "BRANCH":
                to = self.state()
                for branch in value[1]:
                    self.empty.setdefault(self.build(branch, at), set()).add(to)
                at = to
            elif name == "MAX_REPEAT":
                low, high, inner = value
                for _ in range(low):
                    at = self.build(inner, at)
                to = self.state()
                self.empty.setdefault(at, set()).add(to)
                for _ in range(min(int(high), 16) - low):
                    at = self.build(inner, at)
                    self.empty.setdefault(at, set()).add(to)
                at = to
            else:
                raise ValueError(f"{name} in a pattern of numbers")
        return at

    @staticmethod
    def digits(name, value):
        if name == "LITERAL":
            return [chr(value)]
        found = set()
        for op, part in value:
            if str(op) == "LITERAL":
                found.add(chr(part))
            elif str(op) == "RANGE":
                found.update(chr(c) for c in range(part[0], part[1] + 1))
            else:
                found.update(DIGITS)
        return found

    def closed(self, states):
        todo, seen = list(states), set(states)
        while todo:
            for to in self.empty.get(todo.pop(), ()):
                if to not in seen:
                    seen.add(to)
                    todo.append(to)
        return frozenset(seen)

    def after(self, states, digit):
        return self.closed({to for at in states for to in self.steps.get((at, digit), ())})

    def ends_in(self, states, length):
        """Whether some number of this many more digits ends the pattern here."""
        if not states:
            return False
        key = states, length
        if key not in self.left:
            self.left[key] = (
                self.end in states if length == 0 else any(self.ends_in(self.after(states, d), length - 1) for d in DIGITS)
            )
        return self.left[key]

    def prefixes(self, length):
        found, todo = set(), [("", self.closed({self.start}))]
        while todo:
            prefix, states = todo.pop()
            if not self.ends_in(states, length - len(prefix)):
                continue
            if len(prefix) == min(DEPTH, length):
                found.add(prefix)
                continue
            todo.extend((prefix + d, self.after(states, d)) for d in DIGITS)
        return found


def groups_of(pattern):
    """The sizes of the groups of a format: (\\d{2})(\\d{3,4}) is 2+3 and 2+4."""
    shapes = [()]
    for low, high in re.findall(r"\\d(?:\{(\d+)(?:,(\d+))?\})?", pattern):
        low, high = int(low or 1), int(high or low or 1)
        shapes = [shape + (size,) for shape in shapes for size in range(low, high + 1)]
    return shapes


def ranges(prefixes):
    """{'600', '601', '699'} as 600-601,699."""
    out = []
    for number in sorted(int(p) for p in prefixes if len(p) == DEPTH):
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(f"{a:03}" if a == b else f"{a:03}-{b:03}" for a, b in out)


def main():
    codes, zero, plain, group = {}, {}, {}, {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        plan = PhoneMetadata.metadata_for_region(region)
        trunk = plan.national_prefix or ""
        numbers = {}
        for kind in TYPES:
            described = getattr(plan, kind)
            if described is None or not described.national_number_pattern:
                continue
            automaton = Automaton(described.national_number_pattern)
            for length in described.possible_length or plan.general_desc.possible_length:
                numbers.setdefault(length, set()).update(automaton.prefixes(length))
        numbers = {n: p for n, p in numbers.items() if p and n >= 6}
        codes.setdefault(plan.country_code, set()).update(numbers)
        for length, prefixes in numbers.items():
            dialled = {trunk + p for p in prefixes}
            for full in dialled | {p for p in prefixes if p.startswith("0")}:
                if full.startswith("0"):
                    behind = length + (len(trunk) if full in dialled else 0) - 1
                    zero.setdefault(behind, set()).add(full[1 : 1 + DEPTH] if len(full) > DEPTH else None)
            # Where a 0 is dialled it is written too: what stands there without one is rarely a number for the phone.
            if region in NEAR and length >= 8 and not trunk.startswith("0"):
                plain.setdefault(length, set()).update(p for p in prefixes if not p.startswith("0"))
        for form in list(plan.number_format) + list(_ALT_NUMBER_FORMATS.get(plan.country_code, ())):
            for shape in groups_of(form.pattern):
                allowed = numbers.get(sum(shape), set())
                if len(shape) < 2 or not allowed:
                    continue
                for leading in form.leading_digits_pattern[-1:] or [""]:
                    begins = re.compile(leading)
                    fits = {p for p in allowed if not leading or begins.match(p + "0" * 9) or begins.match(p + "5" * 9)}
                    group.setdefault(shape, set()).update(fits)
                    if trunk and not trunk.startswith("0"):
                        group.setdefault((len(trunk),) + shape, set()).update((trunk + p)[:DEPTH] for p in fits)
    for behind in zero.values():
        behind.discard(None)
    print(f"# libphonenumber {phonenumbers.__version__} (Apache-2.0), by tests/screening/plans.py")
    for code in sorted(codes):
        print("code", code, ",".join(map(str, sorted(codes[code]))))
    for name, table in (("zero", zero), ("plain", plain)):
        for length in sorted(n for n in table if n >= 6):
            print(name, length, ranges(table[length]))
    for shape in sorted(group, key=lambda s: (sum(s), s)):
        if sum(shape) >= 7 and ranges(group[shape]):
            print("group", "+".join(map(str, shape)), ranges(group[shape]))


if __name__ == "__main__":
    sys.exit(main())
