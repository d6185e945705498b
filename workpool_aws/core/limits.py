"""Defines every bound of the protocol and of the deployed code.

The relations between them are asserted on import, so that no later change can break one unseen.

Four kinds of numbers stand elsewhere. `model/` has the bounds of its own values, and those that
users meet have a name here. `text`, `errors` and the command line cut text for display, and `text`
and `errors` lie below this module. `adapters/` spells AWS's own quotas, statuses and formats.
`local/` and `testing/` bound a simulation, in which no deployed code depends on them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from workpool_aws.core.limits_of_ledger import *
from workpool_aws.core.limits_of_runs import *
from workpool_aws.core.limits_of_runs import (
    AHEAD_KEPT_MS,
    RUN_END_POLL_MS,
    RUN_ENDS_SOON_MS,
    RUN_LIMIT_MAX,
    RUN_MS,
    RUN_OVERTIME,
    RUN_PATIENCE_MS,
    RUN_STARTS_MAX,
)
from workpool_aws.core.limits_of_views import *
from workpool_aws.model import bounds, names

__all__: list[str] = []  # read as `limits.NAME`

# What users may ask for.
PARALLELISM_MAX: Final = 10_000
"""So many slots fit into the ledger's own item, where all of them are while none is confirmed."""
PARALLELISM_DEFAULT: Final = 10
RATE_STARTS_MAX: Final = bounds.RATE_STARTS_MAX
RATE_BURST_MAX: Final = bounds.RATE_BURST_MAX
DELAY_MS_MAX: Final = bounds.DELAY_MAX // timedelta(milliseconds=1)
"""A year: of `run_after`, `run_at`, backoff, `RetryLater` and `Snooze`, jitter included."""
PAYLOAD_DEPTH_MAX: Final = 100
"""Levels of nested objects and lists in a payload. A cycle ends here, too."""
PAYLOAD_BYTES_MAX: Final = 900 * 1024
"""Arguments, context and result, each: the arguments travel in one asynchronous event."""
ARGS_INLINE_BYTES_MAX: Final = 4 * 1024
"""Up to here arguments stand in the work item's own item, which is written three to six times;
beyond, chunks are cheaper (docs/cost.md)."""
RESULT_INLINE_BYTES_MAX: Final = 16 * 1024
"""A result is written once, so in the item it is always cheaper; beyond this, the loop's deep reads
would take long over finished work items."""
CONTEXT_INLINE_BYTES_MAX: Final = ARGS_INLINE_BYTES_MAX
"""A context is written and moved along as arguments are, so the same sum holds."""
CHUNK_BYTES: Final = 350 * 1024
CHUNKS_MAX: Final = 3
"""Chunks of one payload."""
ITEM_BYTES_MAX: Final = 400 * 1024
EVENT_BYTES_MAX: Final = 1_000_000
"""An asynchronous event: Lambda says 1 MB, and this is the smaller reading of it."""
ASSIGNMENT_BYTES_MAX: Final = 2 * 1024
RETENTION_S_DEFAULT: Final = 24 * 3600
RETENTION_S_MAX: Final = 3_660 * 24 * 3600
NONCE_LENGTH_MAX: Final = 64
NUMBER_MAX: Final = 2**53
"""Of any number in a message: what every JSON reader reads exactly."""
ERROR_TEXT_MAX: Final = 4096
"""Characters of an error kept with the work item."""
ERROR_TYPE_MAX: Final = 256
"""Characters of the name of its type."""
LOGGED_TEXT_MAX: Final = 16_384
"""Characters of one field of a log record: four times an error's text, for a traceback's frames."""
ATTEMPTS_KEPT: Final = 5
"""Of a work item, for people."""
ATTEMPT_ERROR_BYTES: Final = 120
"""Of the latest attempt's error, in its entry."""
ATTEMPT_OLD_ERROR_BYTES: Final = 32
ATTEMPT_TYPE_BYTES: Final = 32
ATTEMPTS_BYTES_MAX: Final = 640
"""Of all entries together: a work item of average size stays within one write unit."""
ERROR_CAUSES_MAX: Final = 5
"""Exceptions of a group whose texts stand in its error."""
POOL_NAME_LENGTH_MAX: Final = names.POOL_LENGTH_MAX
JOB_NAME_LENGTH_MAX: Final = names.JOB_LENGTH_MAX
GROUP_ID_LENGTH_MAX: Final = names.GROUP_LENGTH_MAX
ORIGIN_LENGTH_MAX: Final = 256
"""Characters of the way back from a work item to the request that enqueued it."""

# What an item may say. What it says beyond these bounds is damage, so that nothing that is made of
# it can be out of bounds itself.
STORED_MS_BELOW: Final = 253_402_300_800_000
"""The year 10000: no later time can be written, or shown."""
STORED_WORK_MS_BELOW: Final = 253_339_228_800_000
"""The year 9998, for times of work items and slots: deadlines, delays and wake-ups are added to
them."""
STORED_COUNT_BELOW: Final = 10**9
STORED_STARTS_BELOW: Final = 10**6
"""Starts, attempts, snoozes and put backs of one work item: more than any policy allows."""
STORED_GENERATION_BELOW: Final = 10**12
"""Generations and versions: one each 100 ms for three thousand years."""
STORED_TRIES_BELOW: Final = 1_000
STORED_ITEM_BYTES_MAX: Final = 336 * 1024
"""Of an item that is updated: what lies above it is needed for what its updates add, a result and
errors above all."""
STORED_CHUNK_BYTES_MAX: Final = 399 * 1024
"""Of a chunk's item, to which only its time to live is added."""
STORED_SLOTS_MAX: Final = PARALLELISM_MAX + 2_000
"""Of a ledger with its pages."""
STORED_OWED_MAX: Final = 1_000
"""Callbacks of a ledger."""
REBUILD_ROWS_MAX: Final = 100_000
"""Rows, the latest first, that a loop looks through for what ran when its ledger is damaged."""

# Clocks and the late rule (docs/protocol.md, "Why a time cursor is safe").
SKEW_MS: Final = 2_000
LATE_MS: Final = 5_000
BUFFER_MS: Final = 15_000
DATE_RESOLUTION_MS: Final = 1_000
"""The server's `Date` is whole seconds."""

# Timeouts and heartbeats of an attempt.
TIMEOUT_MS_MAX: Final = 15 * 60_000
"""Lambda's own: no function runs for longer."""
TIMEOUT_GRACE_MS: Final = 1_000
"""Time between `TimeoutError` in user code and the end of its process."""
HEARTBEAT_MS_MIN: Final = 30_000
"""Shorter, and a slow network would end what lives."""
BEATS_A_TIMEOUT: Final = 3
BEAT_RETRY_MS: Final = 2_000
PROGRESS_PARTS: Final = 10_000
"""Progress is stored in so many parts of the whole."""
PROGRESS_EVERY_MS: Final = 1_000
NOTE_LENGTH_MAX: Final = 200
"""Characters of the note of a progress, which is written with the work item's own item."""

# The loop.
PASS_FLOOR_MS: Final = 100
PASS_EAGER_MS: Final = 40
"""The floor, and the interval of polls, while runs are in flight, or the pool is brisk and has free
slots. The ledger costs one unit then, or two with runs."""
BRISK_MS: Final = 400
"""Mean time from one slot that was freed or filled to the next up to which a pool counts as brisk. It
polls eagerly for twice that time. Below `PASS_EAGER_MS` longer passes are cheaper."""
PASS_LENGTH_MS_MAX: Final = 800
"""The longest that a pass with a large ledger waits for more to commit: due work items must start
within a second."""
CURSOR_OVERLAP_MS: Final = 250
DEEP_EVERY_MS: Final = 3_000
POLL_MIN_MS: Final = 100
POLL_MAX_MS: Final = 1_000
POLL_ACTIVE_MAX_MS: Final = 400
"""As long as the last start or end is at most `ACTIVE_FOR_MS` ago: more is likely to come soon."""
ACTIVE_FOR_MS: Final = 5_000
POLL_SATURATED_MS: Final = 200
"""Without a free slot a poll reads done records only, and due work waits for a slot."""
FAILED_PASSES_MAX: Final = 6
"""So many passes in a row without an answer end the invocation. The watchdog starts another."""
SMALL_AT_ONCE: Final = 64
"""Work items without chunks that are stored, or started, at one time (docs/performance.md)."""
BATCH_AT_ONCE_MIN: Final = 8
"""Work items of a batch that are stored at one time, at least."""
BATCH_PUTS_A_CONNECTION: Final = 10
"""Puts that each connection of a larger batch is to make, since it may begin with a handshake."""
BATCH_FIRST: Final = 16
"""Work items of a larger batch that are stored before its first kick."""
BATCH_SPREAD_MIN: Final = 100
"""Work items of a batch from which its producer reads the number of shards before."""
STARTS_A_PASS: Final = 500
"""Work items that one pass chooses: it takes a second at most, and the next one follows at once."""
RECOVERIES_MAX: Final = 64
"""Recoveries of one pass: a pass must stay far below the lease."""
OVERDUE_A_PASS: Final = 2 * RECOVERIES_MAX
"""Starts past their deadline whose work items one pass reads."""
POLL_GROWTH: Final = 1.6
DUE_TO_START_MS: Final = 1_000
"""Due work with a free slot starts within it, while the loop runs [WP-20]."""
CONFIG_EVERY_MS: Final = 1_000
"""Age that the config of a pass may have. A limit that forbids fences the pass off at once."""
CONFIG_QUIET_EVERY_MS: Final = 2_000
"""The same where nothing is in flight, so that no limit is reached: what was canceled as a whole is
not due yet."""
STALLED_PASSES: Final = 10
"""So many passes in a row that changed something and achieved nothing: slow down and say so."""
STALLED_SLEEP_MS: Final = 5_000
LEASE_MS: Final = 30_000
LEASE_BELIEVED_MS: Final = 5 * 60_000
"""A lease that ends later was written by no loop, however far apart two clocks may be."""
LEASE_RENEW_MS: Final = 15_000
NEAR_MS: Final = 120_000
"""Due within it: the loop stays up. A schedule fires up to a minute late, and lies one ahead."""
FAR_LEAD_MS: Final = 60_000
"""A far wake is ordered so long before the due time."""
WAKE_AHEAD_MS: Final = 1_000
"""Time before the due time at which a far wake starts the loop. It sleeps until then."""
HAND_OVER_MS: Final = 20_000
"""Remaining Lambda time at which the loop passes on."""
LOOP_LIFE_MS_MAX: Final = 13 * 60_000
PROMISE_MS: Final = 5_000
"""Time that a busy loop promises to stay up, so that completions need not read the status."""
PROMISE_ENTRIES_MIN: Final = 4
QUARANTINE_REPORTS_MAX: Final = 1_000
BULK_CANCEL_ROWS: Final = 200
"""Rows that one pass reads to cancel what `cancel_all` called off: a pass must stay far below the
lease."""
LINGER_MS: Final = 700
"""Time for which a loop with nothing due stays up after its last action. Short work items report
within it, and no second loop is needed."""
LOOKAHEAD_ROWS_MAX: Final = 25
"""Rows of later time that one pass looks through for the next due one; then it looks again at the
last one's time."""
SHARD_WINDOW_MS: Final = 3_000
"""Time over which a loop counts its starts before it decides about shards."""
SHARD_LATELY_MS: Final = 500  # where partitions are full: producers wait until there are more
SHARD_SPAN_MS: Final = 25  # what was due within it is one burst, which lies where it lies
SHARD_QUIET_MS: Final = 600_000
"""Time with few starts after which a loop that stays up takes fewer shards."""
STARTS_A_SHARD: Final = 150
"""Starts a second for which one shard is meant. Its partition would take about twice as many."""
STARTS_A_FULL_SHARD: Final = 250  # starts a second from which a partition may bound them
SHARDS_GROWN_MAX: Final = 16
"""Most shards that a loop makes of its own accord."""
QUERY_LIMIT_MIN: Final = 6
"""Items of a small page: about 4 KB, one read unit."""
QUERY_LIMIT_FIRST: Final = 25
"""Rows of the page by which a loop begins that does not know its limit yet."""
QUERY_LIMIT_MAX: Final = 200
"""To so many grow the pages of a read that has found too little in the ones before: thousands of
canceled rows are passed over quickly."""

# Starting and recovering.
INVOCATION_MS_MAX: Final = 24 * 3600 * 1000
"""Most time left that a context is believed: Lambda's longest is far shorter, and a test's may know
no end."""
START_TO_INVOKE_MS: Final = 8_000
"""A start write older than this is not sent any more: the worker's `start_by` would be near."""
RECOVERY_MARGIN_MS: Final = 2 * SKEW_MS + 2_000
CALL_OFF_MARGIN_MS: Final = 2 * SKEW_MS
"""A work item that was enqueued so much later than a `cancel_all`, by two clocks that may be off in
opposite directions, was not meant."""
RECHECK_MS: Final = 5_000
RECOVER_NEAR_MS: Final = 10_000
"""To be recovered within it: the loop stays up. A timeout's record arrives just at the deadline."""
INVOKE_TRIES: Final = 3
INVOKE_RETRY_MS: Final = 200
REFUSED_FOR_MS: Final = 120_000
"""A target that was refused for so long is not a fresh deployment any more."""
UNDELIVERED_MAX: Final = 48
UNCLAIMED_MAX: Final = 8
"""Requeues in a row after which recovery requeues no unclaimed start any more, since an undecorated
function never claims.

Enough for a quarter of an hour in which every event is lost."""
SNOOZES_MAX: Final = 100
"""Snoozes in a row; each of them is a start that Lambda is paid for."""
REQUEUE_DELAY_MS: Final = 1_000
REQUEUE_DELAY_MS_MAX: Final = 30 * 60_000
"""1 s doubling to 30 min: 48 of them are 19 hours, and the events' own age comes on top."""
DONE_RETENTION_S: Final = 14 * 24 * 3600
TRANSACTION_ITEMS_MAX: Final = 100
TRANSACTION_BYTES_MAX: Final = 4 * 1024 * 1024
TRANSACTION_READS_MAX: Final = 100
"""Items of one `get_all`."""
EXPRESSION_BYTES_MAX: Final = 4 * 1024
"""Of a condition or an update of a user's item, with the check of what was read: DynamoDB's."""
EXPRESSION_OPERATORS_MAX: Final = 300
"""Operators and functions of one expression: DynamoDB's."""
TRANSACTION_TRIES: Final = 8
"""Requests of one transaction, and runs of a function whose reads have changed."""
TRANSACTION_MS_MAX: Final = 10_000
"""Time for which one transaction tries, if its Lambda has so much."""
TRANSACTION_PAUSE_MS: Final = 25
"""Before the second try. Doubles, with full jitter, up to a second."""
TRANSACTION_PAUSE_MS_MAX: Final = 1_000
TRANSACTION_UNANSWERED_MAX: Final = 3
"""Requests without an answer, after which the receipt decides."""
FENCE_TRIES: Final = 4
OLD_ID_MS: Final = 3_000
"""Age of an id at a commit from which its work item gets a pointer in the same transaction."""
ANCHORED_END_MS: Final = 2_000
"""Time before the end of its Lambda from which a function with a transaction is not run again."""
PROOF_S: Final = 2 * 24 * 3600
"""Time for which the proof of a transaction is kept."""
PROOF_S_MIN: Final = 3600
"""A work item that is kept for less does not prove its transaction."""
UNIQUE_KEY_BYTES_MAX: Final = 512
REQUEST_ID_BYTES_MAX: Final = 512
UNIQUE_TRIES: Final = 8
"""Decisions about one unique key, of which each may find that another caller was faster."""
LOCK_KEPT_S: Final = 2 * 24 * 3600
"""Time for which the lock of a unique key, or the mark of a request id, is kept beyond its use."""
REQUEST_KEPT_S_MIN: Final = 24 * 3600
"""Least time, from the due time on, for which a request id is known."""
GUEST_DEPTH_MAX: Final = 32
"""Levels of nested maps and lists in an item of DynamoDB."""

# Schedules.
SCHEDULE_NAME_LENGTH_MAX: Final = names.SCHEDULE_LENGTH_MAX
CRON_LENGTH_MAX: Final = 256
"""Characters of a cron expression: a list of all sixty minutes has 170."""
EVERY_MS_MIN: Final = 1_000
SCHEDULE_PAYLOAD_BYTES_MAX: Final = 4 * 1024
"""Arguments and context of a schedule, each: all occurrences of one transaction have them."""
GRACE_MS: Final = 180_000
"""An occurrence that is found later is missed: a far wake may be a minute late, and the watchdog a
minute and a half."""
OCCURRENCES_A_STEP: Final = 1_000
"""Occurrences that one look at a schedule lists, some 30 ms of a cron expression."""
CATCH_UP_MAX: Final = 90
"""Missed occurrences, the latest ones, that are enqueued all the same."""
OCCURRENCES_A_FIRE: Final = 45
"""Work items of one transaction, each with a pointer."""
FIRES_A_PASS: Final = 32
SCHEDULE_PAST_KEPT: Final = 10
EDIT_MARGIN_MS: Final = 120_000
"""An occurrence that is due within it is not affected by a change: the change may land later."""
SCHEDULE_LATE_MS: Final = 60_000
"""A schedule whose next occurrence is overdue by more has lost its tick."""

LEDGER_STARTS_MAX: Final = 800
"""Starts that the ledger of a pool with runs names. Its slots lie in no page, so they fit into one item."""

SPAWNED_A_PASS: Final = 16
"""Ended work items of which a pass looks for what their transactions stored, up to 100 each. The
others keep their entries until the next one, so that each pass commits well within its lease."""

# Groups.
GROUP_MAX: Final = 10_000
"""Members of one group, two bits each: the item stays within three write units."""
GROUP_OUTCOMES_BYTES_MAX: Final = 2 * GROUP_MAX // 8
GROUP_CONTEXT_BYTES_MAX: Final = CONTEXT_INLINE_BYTES_MAX
"""Of a group's callback, since it is written with each count."""
GROUP_TRIES: Final = 8
"""Tries of a count, of which each met another one."""
GROUP_RETENTION_S_MIN: Final = 24 * 3600
"""A member is kept for so long at least, so that a lost start is found before its end is removed."""
GROUP_COUNT_LATE_MS: Final = 120_000
"""An end that is older and not counted has reached no loop."""
GROUP_CANCELS_A_STEP: Final = 100
"""Members that one step of `cancel_group` reads and cancels."""
GROUPS_LIST_MAX: Final = 100
"""Groups on one page."""

# Callbacks.
CALLBACKS_OWED_MAX: Final = 500
"""In the ledger at one time, about 45 bytes each; what finds no room waits in its done record."""
CALLBACKS_A_PASS: Final = 50
CALLBACK_TRIES_MAX: Final = 12
"""By the loop, after the completion's own: 37 minutes of trying."""
CALLBACK_RETRY_MS: Final = 1_000
CALLBACK_RETRY_MS_MAX: Final = 10 * 60_000
CALLBACK_LOOK_MS: Final = 500
"""When the loop first looks whether a sent callback was acknowledged."""
CALLBACK_LOOK_STAY_MS: Final = 4_000
"""The longest pause between two looks for which the loop stays up."""
CALLBACK_LOOK_FAR_MS: Final = 70_000
CALLBACK_NEAR_MS: Final = 60_000
"""A callback that wants attention within it keeps the loop up.

A schedule must lie a minute ahead.
"""
QUEUE_MESSAGE_BYTES_MAX: Final = 1024 * 1024
TOPIC_MESSAGE_BYTES_MAX: Final = 256 * 1024
CALLBACK_FRAME_BYTES_MAX: Final = 2 * 1024
"""Bytes of a callback's event beside context and return value."""
CALLBACK_LATE_MS: Final = 60_000
"""Delay with which a schedule may wake the loop for a callback."""

# The watchdog.
WATCHDOG_MS: Final = 60_000
HEARTBEAT_MS: Final = 5 * WATCHDOG_MS
"""Interval of the watchdog's heartbeats, for about half a cent a month."""
HEARTBEAT_LATE_MS: Final = 3 * HEARTBEAT_MS
"""Age of the last one from which `doctor` takes the watchdog for dead."""
TICK_MS_MAX: Final = 45_000
"""For so long one tick visits pools; the watchdog's function has a minute."""
SURVEY_MS_MAX: Final = 10_000
"""For so long the survey after it does."""
POOL_TICK_MS_MAX: Final = 10_000
"""For so long it visits one of them."""
WATCHDOG_BACK_MS: Final = 5 * 60_000
"""Span before a tick in which it looks for due work, and time after a loop's lease for what lies
before its cursors: several ticks may be lost."""
WATCHDOG_DEEP_MS: Final = 3_600_000
"""Interval between two deep looks."""
WATCHDOG_DEEP_BACK_MS: Final = 2 * WATCHDOG_DEEP_MS
"""Span that a deep look covers: an item that landed late has its key in the time of one look, and
lies there only at the next; that may be lost."""
WATCHDOG_ROWS_MAX: Final = 5_000
"""Rows that one such look reads of a shard, the latest first: some 3 MB, 700 read units."""
WATCHDOG_PAGE: Final = 500
DEPLOYMENT_TURN_MS: Final = 3_600_000
"""For so long a deployment whose place another one of the same table took does not take it back."""

# Calls to AWS, and what is kept between them.
CONNECT_TIMEOUT_S: Final = 1.5
READ_TIMEOUT_S: Final = 3.0
"""boto3's own 60 s would outlive a lease, a promise and most Lambdas."""
CONNECTION_IDLE_MS_MAX: Final = 5_000
"""Connections that were idle for longer are not used again."""
ADDRESSES_KEPT_MAX: Final = 1_000
"""Of DynamoDB's operations, and one for each function that is invoked."""
TARGETS_KEPT_MAX: Final = 1_000
"""Functions whose limits, or whose denial of them, a process remembers."""
FUNCTION_LIMITS_KEPT_MS: Final = 300_000
FUNCTION_LIMITS_GUESSED_KEPT_MS: Final = 60_000
"""For the guess that stands in for limits that Lambda did not give."""
JOBS_KEPT_MS: Final = 300_000
JOBS_MISSED_KEPT_MS: Final = 10_000
"""For a name that is no known job. A deployment may just have added it."""

# Decisions that are made again, because the record that they were made of has changed.
CANCEL_TRIES: Final = 8
"""A work item can be started, retried and started again during its cancel."""
REDRIVE_TRIES: Final = 3
CONFIG_TRIES: Final = 8
CALLBACK_FAILURE_TRIES: Final = 3
"""Most tries to record a failure that arrived before the sender recorded the delivery."""

assert (CONNECT_TIMEOUT_S + READ_TIMEOUT_S) * 1000 < CONNECTION_IDLE_MS_MAX, (
    "a connection that is in use may not count as idle"
)
assert CATCH_UP_MAX + 2 <= TRANSACTION_ITEMS_MAX, "spread occurrences fit into a transaction"
assert 2 * OCCURRENCES_A_FIRE + 2 <= TRANSACTION_ITEMS_MAX, (
    "occurrences and their pointers fit into a transaction"
)
assert LATE_MS + DATE_RESOLUTION_MS + SKEW_MS < BUFFER_MS, (
    "an acknowledged write must lie inside the buffer"
)
assert LEASE_RENEW_MS + HAND_OVER_MS // 2 <= LEASE_MS, (
    "a live loop must renew before its lease ends"
)
assert RECOVERY_MARGIN_MS >= 2 * SKEW_MS + 2_000, "recovery must not overtake a running worker"
assert PROMISE_MS > 2 * SKEW_MS, "a promise must outlast what skewed clocks take from it"
assert (
    PASS_EAGER_MS
    <= PASS_FLOOR_MS
    <= POLL_MIN_MS
    <= POLL_ACTIVE_MAX_MS
    <= POLL_MAX_MS
    <= DUE_TO_START_MS
), "a due work item must start in time while the loop runs"
assert PASS_FLOOR_MS <= PASS_LENGTH_MS_MAX <= DUE_TO_START_MS - 200, (
    "a long pass must leave time for the start itself"
)
assert NEAR_MS >= FAR_LEAD_MS + 60_000, "a schedule must lie at least a minute ahead"
assert (
    ARGS_INLINE_BYTES_MAX
    + CONTEXT_INLINE_BYTES_MAX
    + RESULT_INLINE_BYTES_MAX
    + 8 * ERROR_TEXT_MAX
    + 8 * 1024
    <= ITEM_BYTES_MAX
), "a work item must fit into an item"
assert CHUNK_BYTES + 8 * 1024 <= ITEM_BYTES_MAX, "a chunk must fit into an item"
assert (
    STORED_ITEM_BYTES_MAX + RESULT_INLINE_BYTES_MAX + 8 * ERROR_TEXT_MAX + 8 * 1024
    <= ITEM_BYTES_MAX
), "an item that can be read can be updated"
assert CHUNK_BYTES + 1024 <= STORED_CHUNK_BYTES_MAX < ITEM_BYTES_MAX, (
    "a chunk that can be read can expire"
)
assert CHUNKS_MAX * (CHUNK_BYTES - 3) >= PAYLOAD_BYTES_MAX, (
    "a payload must fit into its chunks, which end between two characters"
)
assert PAYLOAD_BYTES_MAX + ASSIGNMENT_BYTES_MAX <= EVENT_BYTES_MAX, (
    "arguments must fit into the event"
)
assert PAYLOAD_BYTES_MAX + CALLBACK_FRAME_BYTES_MAX <= EVENT_BYTES_MAX, (
    "a context or a result must fit into the event of a callback"
)
assert 3 * CHUNKS_MAX * CHUNK_BYTES + ITEM_BYTES_MAX <= TRANSACTION_BYTES_MAX, (
    "a work item and three payloads must fit into a transaction"
)
assert CALLBACK_LOOK_STAY_MS < CALLBACK_NEAR_MS < CALLBACK_LOOK_FAR_MS, (
    "a look is either stayed up for or far enough for a schedule"
)
assert LEDGER_STARTS_MAX <= PARALLELISM_MAX < STORED_SLOTS_MAX, "a ledger can be read back"
assert CALLBACKS_OWED_MAX < STORED_OWED_MAX, "a ledger's callbacks can be read back"
assert STORED_SLOTS_MAX * 26 + CALLBACKS_OWED_MAX * 50 < STORED_ITEM_BYTES_MAX, (
    "the ledger must fit into an item without pages"
)
assert RUN_END_POLL_MS <= PASS_EAGER_MS, "ends that are foreseen are polled for at least as often"
assert AHEAD_KEPT_MS >= 2 * RUN_ENDS_SOON_MS, "a full pool reads ahead of a run once"
assert RUN_LIMIT_MAX <= STARTS_A_PASS, "a pool with runs fills all of its slots in a pass"
assert RUN_STARTS_MAX * (ARGS_INLINE_BYTES_MAX + ASSIGNMENT_BYTES_MAX) < EVENT_BYTES_MAX, (
    "a run must fit into an event"
)
assert RUN_OVERTIME * RUN_MS < RUN_PATIENCE_MS < RECOVERY_MARGIN_MS, (
    "a run gives back by itself what it does not reach"
)
