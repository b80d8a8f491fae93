"""What ends a case, held without a node: when a person has to decide, and when nobody was told anything.

usage: judged.py; exit codes: 0 as it should be, 1 not
"""
import unittest

from city import Done
from healing import Ran, heal
import healing

KEY_LOST = "the node does not run\nfix    havenlink recover shows what is here"
LEFT_TO_A_PERSON = ("your decision: look for a backup first (--from FOLDER)\n"
                    "next: at another member: havenctl member recovery-ticket de-kehl")


class Desk:
    """A city whose commands say what a table says."""
    authority = "de-kehl"

    def __init__(self, says):
        self.says = says

    def typed(self, _):
        return ""

    def runs(self):
        return True

    def sh(self, command, _=""):
        return Done(self.authority, command, 0, self.says.get(command, ""), "")


class World:
    def __init__(self, says):
        self.cities, self.notes = [Desk(says)], []

    def say(self, what):
        self.notes.append(what)


class Doctor:
    """Finds one thing after another; the last stays."""

    def __init__(self, world, said=(), errors=()):
        self.world, self.said_then, self.errors_then = world, list(said), list(errors)

    def examine(self, _):
        now = [(self.said_then.pop(0) if len(self.said_then) > 1 else self.said_then[0])] if self.said_then else [[]]
        return now[0], list(self.errors_then)


def ends(doctor):
    """How it ends where nobody waits."""
    healing.BY_ITSELF, healing.AFTER_ADVICE, healing.time.sleep = 0, 0.2, lambda _: None
    return heal(doctor).ending


class Judged(unittest.TestCase):
    def test_a_decision_is_what_is_left_when_all_that_was_advised_is_done(self):
        says = {"havenlink recover": LEFT_TO_A_PERSON}
        wrong = [("de-kehl", KEY_LOST), ("de-kehl", "an alert is QUEUED\nfix  havenctl status")]
        doctor = Doctor(World(says), errors=wrong)
        self.assertEqual(ends(doctor), "a decision")
        ran = [note.split("   ")[0] for note in doctor.world.notes]
        self.assertIn("de-kehl$ havenctl status", ran, "what can be done beside it is done first")

    def test_what_a_command_left_to_a_person_counts_for_nothing_once_that_is_well(self):
        says = {"havenlink recover": LEFT_TO_A_PERSON}
        later = [("de-kehl", "queue: an alert is REFUSED\nfix  havenctl explain EXPIRED")]
        doctor = Doctor(World(says), said=[[("de-kehl", KEY_LOST)], later])
        self.assertEqual(ends(doctor), "STUCK")

    def test_what_says_so_itself_is_a_decision_if_it_offers_anything(self):
        offered = [("de-kehl", "votes: two lines\nfix  your decision: havenctl register choose 1a2b, or havenctl register choose 3c4d")]
        self.assertEqual(ends(Doctor(World({}), said=[offered])), "a decision")
        self.assertEqual(ends(Doctor(World({}), said=[[("de-kehl", "votes: your decision")]])), "STUCK")

    def test_what_a_command_advises_in_turn_may_leave_it_to_a_person(self):
        says = {"havenlink check": "fix  havenlink recover", "havenlink recover": LEFT_TO_A_PERSON}
        self.assertEqual(ends(Doctor(World(says), errors=[("de-kehl", "fix  havenlink check")])), "a decision")

    def test_commands_that_advise_each_other_come_to_an_end(self):
        says = {"havenlink check": "fix  havenlink recover", "havenlink recover": "fix  havenlink check"}
        ran = Ran(World(says))
        ran.follow([("de-kehl", "fix  havenlink check")])
        self.assertFalse(ran.leaves([("de-kehl", "fix  havenlink check")]))


if __name__ == "__main__":
    unittest.main()
