"""Behaviours that a comparable pool's own tests assert, in our words, with their tests here.

The peer is `@convex-dev/workpool` 0.4.12 with `@convex-dev/batch-worker` 0.3.4 (Apache-2.0). Its
tests were read as a specification: behaviours were taken over, no code. `SM` state machine, `RC`
recovery, `LP` loop, `LB` library, `CP` completion, `KK` kick, `CF` configuration, `LG` logging,
`ER` errors, `ST` set-up, `SA` statistics, `BW` its loop runner, `OL` and `OK` its loop and kick
until 0.4.8, `TP` what a comparable in-process pool documents.

Where a row is shown: `u` by one case, `s` under chance (a simulation, or a storm of seeds), `d`
also on an engine that is not our own. A test names the rows that it shows:
`@pytest.mark.peer("SM01")`. `test_rows.py` holds the list against what was collected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["NOT_OURS", "PENDING", "ROWS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One behaviour. `levels`: letters of where it must be shown; "" where it does not apply."""

    name: str
    levels: str
    what: str


_TEXT: Final = """
SM01 us  due work starts once: running, in the ledger, neither reported nor asked to cancel
SM02 us  a retry that is due starts like new work, its spent attempts kept
SM03 us  a success without retry frees the slot and leaves nothing behind
SM04 us  so does a final failure
SM05 us  a failure with attempts left frees the slot and is pending, or running again, in one step
SM06 us  a pending work that is canceled never runs
SM07 us  a running work that is asked to cancel runs on
SM08 us  a work that was asked to cancel and fails is not tried again
SM09 us  a pass that finds nothing changes nothing and writes nothing
SM10 us  so it is while a work that was asked to cancel runs
SM11 us  a success finishes the work and reports to the loop; the work is kept
SM12 us  a failure with attempts left spends exactly one of them
SM13 us  a failure without a policy finishes the work
SM14 us  canceling a pending work frees no slot, since it held none
SM15 us  a success after a request to cancel is a success
SM16 us  a report of another start changes nothing
SM17 us  a report about a work that is gone changes nothing and raises nothing
SM18 us  a second report of a start spends no second attempt
SM19 us  nor does a duplicate that arrives while the next attempt runs (the peer's bug: it did)
SM20 us  canceling a pending work holds at once, without waiting for the loop
SM21 us  canceling a running work records a request and leaves it running
SM22 us  canceling a work that backs off holds at once
SM23 us  canceling an unknown work records nothing
SM24 us  canceling twice is canceling once
SM25 us  a slot whose work is gone and never reported is freed, once
SM26 us  a report that lies there is settled before anybody judges the start lost
SM27 us  looking at an old running work that is well leaves it alone
SM28 us  and so if it was asked to cancel
SM29 us  a slot whose invocation nobody can ask about blocks neither the report nor the backlog
SM30 us  a start that never reported is a failed attempt, and the next one follows
SM31 us  a live start survives recovery's look
SM32 us  an entry in the queue whose work is gone is removed and hurts nobody
SM33 us  an entry for a work that is in flight is removed (the peer's bug: it stayed for ever)
SM34 us  two reports of one attempt leave one report's worth of change (the peer's bug: two attempts)
SM35 us  a freed slot is taken in the same pass
SM36 us  two retries that reported before a pass are settled in one and both run again
SM37 us  a cancel while the failure's report waits for the loop wins
SM38 us  two cancels of one work never wedge the loop (the peer's bug: a pass threw)
SM39 us  a cancel after the success says finished and changes nothing
SM40 us  a retry with a long backoff holds no slot and waits for its time
SM41 s   a loop that is killed anywhere in a pass: the next one goes on from what is stored
SM42 us  one pass settles one work, drops a canceled one and starts a third
SM43 us  a retry and a cancel that the loop learns of together: canceled, nothing left
RC01 us  a lost start ends as failed with a kind of its own; its callback is sent once, and only if failures are wanted
RC02 us  recovery adds nothing to a start that has reported
RC03 us  recovery skips a work that is gone
RC04 us  recovery skips a start that another one has followed
RC05 us  a start of which nobody heard by its deadline fails as such
RC06 u   what the platform says of a failure is kept unchanged
RC07 -   a start that an operator canceled on a dashboard
RC08 us  several lost starts each get an end of their own
RC09 us  recovery does nothing before the deadline
LP01 usd pending work is started by the loop
LP02 usd a success leaves the ledger, the status says finished
LP03 us  so does a final failure
LP04 us  several works that fit start in one pass
LP05 u   works that were enqueued together run and fail each for itself
LP06 u   more works than one request holds are started all the same
LP07 usd a pass never starts more than the limit
LP08 us  what did not fit starts as slots free
LP09 us  a limit below what runs starts nothing and kills nothing
LP10 usd a failed attempt is pending again and counted
LP11 us  canceled before the loop saw the retry: no retry
LP12 us  canceled before its start: never started
LP13 us  a running work shows that it was asked to cancel
LP14 us  canceling a finished work raises nothing and records nothing
LP15 us  a pool with nothing to do is idle and costs nothing
LP16 u   with every slot taken the loop waits for reports
LP17 u   with a free slot it looks again soon
LP18 u   due work is chosen; nothing is recovered for it
LP19 us  work due later gives the loop a time to wake
LP20 u   the wake is the earlier of the next due time and the next recovery
LP21 us  a silent start is looked at once, at its time, and keeps its slot until then
LP22 s   messages of an earlier version still make progress
LP23 -   the second entry point of an earlier version
LB01 u   every filter of outcomes is stored as given, for one work and for a batch
LB02 ud  a bad filter is refused before anything is stored, also for the valid works of the batch
LB03 usd an enqueued work has an id and is pending with no attempt spent
LB04 u   a limit above the most is refused by name
LB05 u   a negative limit is refused, 0 pauses
LB06 u   a cancel reaches its own work only
LB07 us  a second cancel adds nothing
LB08 u   a cancel of a work past its retention adds nothing
LB09 us  cancel_all reaches all that are due later
LB10 us  cancel_all goes on page by page, also after a crash, and spares what came later
LB11 u   finished and unknown are told apart
LB12 u   a new work is listed once, as pending with no attempt spent
LB13 u   a started work is running, from its own item alone
LB14 u   a work that waits for its retry is pending and shows the spent attempt
LB15 u   a running work that was asked to cancel is still running
LB16 u   a work is finished as soon as its result is stored, before the loop knows
CP01 us  a success finishes the work with its result, once
CP02 us  a work whose stored payload is gone ends all the same and hurts no other
CP03 u   a failure with a policy keeps the work for the next attempt
CP04 u   a failure that says so is final at once, its text kept
CP05 us  the last attempt of a policy is final
CP06 u   a canceled work ends without a slot to free
CP07 us  an end wakes a loop that waits for slots
CP08 us  so does a failure that will be retried
CP09 usd the callback tells id, context and result with its value
CP10 u   a success and a retry at one time are each what they are
CP11 us  a report of another start leaves the work alone and reports nothing
CP12 us  the first report of a start counts: attempts, text, callback
KK01 us  an enqueue wakes the loop
KK02 us  enqueue, completion, retry, cancel and a new limit wake it, also when it waits for slots
CF01 ud  a changed limit is kept, and used at once if it is higher
LG01 -   the log level is below that of the line
LG02 -   the log level is above it
LG03 -   the log level is equal
ER01 u   an error derived from NonRetryableError is final, its text kept
ER02 u   that survives the way through another process
ER03 u   so does the error of another copy of the package
ER04 u   any other error may be retried
ST00 -   an empty test
SA01 u   nothing is reported unless asked for
SA02 u   rates are those of the attempts that completed
SA03 u   a long backlog is never counted by the loop
SA04 -   counting in several jobs
BW01 us  the first enqueue makes the pool's items, and the watchdog knows it before a loop runs
BW02 u   the watchdog's period is a minute
BW03 us  an enqueue beside a live loop starts no second one
BW04 u   the state of a loop is stored from its first kick on
BW05 us  a paused pool comes to rest with no schedule of its own
BW06 us  a resumed pool is a new generation, and messages of the old one are void
BW07 u   resuming a pool that never was does nothing bad
BW08 -   a debug line
BW09 us  a superseded loop, and a second delivery of a live one, stop without a change
BW10 us  an earlier work ends a far wait; the old schedule finds itself superseded
BW11 u   what is done keeps the loop up a little longer
BW12 u   and so after a rest that was taken back
BW13 us  a kick while a loop is on its way adds none
BW14 us  many kicks at one moment start one loop
BW15 s   the watchdog starts a dead loop again, and goes on watching
BW16 us  at rest no schedule is left
BW17 s   a loop whose invocation was lost is replaced, and the watchdog acts no more than once a minute
BW18 u   no wake is ordered in the past
BW19 s   a lost wake of a waiting pool is made up for
BW20 us  the watchdog leaves a live loop alone
BW21 s   with its schedules and events gone a pool recovers by itself and by the next enqueue
BW22 us  pools do not interfere
BW23 sd  an enqueue drives the loop until nothing is left, then it rests
BW24 sd  a pause halts, a resume finishes
BW25 -   a cursor that the user's query returns
BW26 -   a cursor that the user's mutation overrides
BW27 -   setting and clearing that cursor
BW28 us  a paused pool accepts work and runs none
BW29 u   works start in order of due time, then of enqueueing
OL01 us  with nothing to do the loop rests
OL02 u   within its linger it stays up
OL03 us  with work for later it waits, unsaturated, and wakes in time
OL04 u   with every slot taken it waits saturated
OL05 u   with a free slot it waits unsaturated
OL06 u   a report ends saturation
OL07 us  while every slot is taken new work waits
OL08 us  a freed slot that is taken in the same pass leaves it saturated
OL09 us  an order of another generation changes nothing
OL10 us  a generation is good for one holder, and each of its commits for one version
OK01 ud  the first kick makes the pool's items, also when two race
OK02 us  a kick beside a live loop is none
OK03 us  a kick of a waiting loop for work that is due runs it now
OK04 us  a retry wakes a loop that is not saturated
OK05 us  an enqueue does not wake a saturated loop
OK06 us  a status that somebody removed is made again, and the work goes on
OK07 u   a config that somebody removed: the defaults hold
OK08 sd  ten kicks at one time leave one loop
OK09 u   a kick leaves the config alone
OK10 us  what a kick overtakes comes to nothing
TP01 us  never more tasks at a time than the limit, and never fewer while some wait
TP02 u   tasks start in the order in which they were added
TP03 us  several threads drain at one time: each returns when what it waits for is done
TP04 u   tasks that add tasks while draining are waited for
TP05 u   failing tasks fail nobody else, and each is told with its task
TP06 us  done twice, and from two threads, is done once
TP07 u   adding after done is an error
TP08 u   when Lambda's time runs out, what was not started is given up and told, or handed to a durable pool
TP09 u   nothing is left running after the handler's answer, also when it raised
"""


def _row(line: str) -> Row:
    name, levels, what = line.split(maxsplit=2)
    return Row(name, levels.strip("-"), what)


ROWS: Final = tuple(_row(line) for line in _TEXT.strip().splitlines())

NOT_OURS: Final = MappingProxyType(
    {
        "RC07": "an asynchronous Lambda invocation cannot be canceled by an operator",
        "LP23": "there is one entry point, and never was another",
        "LG01": "levels are the standard library's, and tested there",
        "LG02": "as LG01",
        "LG03": "as LG01",
        "ST00": "it asserts nothing",
        "SA04": "the backlog is counted by who asks for it, in one bounded read",
        "BW08": "the text of a debug line is no behaviour",
        "BW25": "the loop's cursor is its own; users hand in works, not queries",
        "BW26": "as BW25",
        "BW27": "as BW25",
    }
)
"""Why a row does not apply."""

PENDING: Final[Mapping[str, str]] = MappingProxyType({})
"""The reason why a row waits. A row that has a test may not be here, so that the list shrinks."""
