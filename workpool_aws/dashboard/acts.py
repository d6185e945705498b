"""Acts of the dashboard: every request that changes something.

`ACTS` lists them all. Each is refused in a read-only dashboard and for a request of another site,
before anything else is looked at. One that cannot be undone shows its count and asks first. Bulk acts
are asked about and then run on their own (`bulk`).
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from workpool_aws.api.again import options_of
from workpool_aws.core import limits
from workpool_aws.dashboard.bulk import FORGOTTEN, VERBS, BulkAct, canceled
from workpool_aws.dashboard.filters import filter_of
from workpool_aws.dashboard.guard import form_of, is_own_request
from workpool_aws.errors import NotFound, UsageError
from workpool_aws.model.rate import RateLimit
from workpool_aws.text import as_line, counted, many
from workpool_aws.values import replace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from workpool_aws import Workpool
    from workpool_aws.core.views.error_marks import ErrorState
    from workpool_aws.dashboard.bulk import BulkActs, Verb
    from workpool_aws.dashboard.render import Pages
    from workpool_aws.insights.insights import Insights

    _Form = dict[str, list[str]]
    _Act = Callable[["Acts", Mapping[str, str], _Form], "_Done | _Question"]

__all__ = ["ACTS", "Acts"]

_LOG: Final = logging.getLogger("workpool.dashboard")
_NUMBER: Final = re.compile("[0-9]{1,6}")
_NO_RATE: Final = "none"
_MARKS: Final[Mapping[ErrorState, str]] = {
    "resolved": "error_resolved",
    "ignored": "error_ignored",
    "open": "error_opened",
}
"""Marks of errors, with the notices that follow."""


@dataclass(frozen=True, slots=True)
class _Done:
    """An act that was done, and the page that shows its result."""

    path: str
    done: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """A question before an act. The same request with `confirmed` carries it out."""

    text: str
    button: str
    hidden: Sequence[tuple[str, str]]
    back: str


class Acts:
    """Carries out acts. Each runs in a thread of its own."""

    def __init__(
        self, insights: Insights, pages: Pages, bulk: BulkActs, *, read_only: bool
    ) -> None:
        self._insights = insights
        self._pages = pages
        self._bulk = bulk
        self._read_only = read_only

    def endpoint(self, act: _Act) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of an act, behind the guards."""

        async def run(request: Request) -> Response:
            if self._read_only:
                raise HTTPException(403, "This dashboard is read-only. Nothing was changed.")
            if not is_own_request(request):
                raise HTTPException(403, "The request came from another site. Nothing was changed.")
            form = await form_of(request)
            result = await run_in_threadpool(act, self, request.path_params, form)
            if isinstance(result, _Question):
                return self._pages.page(
                    request, "confirm.html", now=self._insights.now, question=result
                )
            client = "unknown" if request.client is None else request.client.host
            _LOG.info("%s, by %s: %s", as_line(request.url.path), client, result.done or "done")
            number = {} if result.count is None else {"count": result.count}
            query = f"?{urlencode({'done': result.done, **number})}" if result.done else ""
            root = request.scope.get("root_path", "")
            return RedirectResponse(f"{root}{result.path}{query}", status_code=303)

        return run

    def pool_of(self, path: Mapping[str, str]) -> Workpool:
        """Return the pool of a path, if the table has it."""
        pool = self._insights.pool_of(path["pool"])
        if not pool.is_known(None):
            raise HTTPException(404, f"No pool {pool.name} is known. Nothing was changed.")
        return pool

    def set_limit(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Sets or drops the override of the limit."""
        pool, wanted = self.pool_of(path), (form.get("limit") or [""])[0].strip()
        if form.get("reset"):
            pool.configure(None, reset=True)
            return _Done(f"/pools/{pool.name}", "reset")
        if not _NUMBER.fullmatch(wanted):
            raise UsageError("limit", wanted, f"a number from 0 to {limits.PARALLELISM_MAX}")
        pool.configure(None, max_parallelism=int(wanted))
        return _Done(f"/pools/{pool.name}", "limit", int(wanted))

    def set_rate(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Overrides the rate limit; `none` lifts it."""
        pool, wanted = self.pool_of(path), (form.get("rate") or [""])[0].strip()
        rate = None if wanted == _NO_RATE else RateLimit.parse(wanted)
        pool.configure(None, rate_limit=rate)
        return _Done(f"/pools/{pool.name}", "rate")

    def pause(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Pauses or resumes the pool."""
        pool, resume = self.pool_of(path), bool(form.get("resume"))
        pool.configure(None, paused=not resume)
        return _Done(f"/pools/{pool.name}", "resumed" if resume else "paused")

    def cancel_all(self, path: Mapping[str, str], form: _Form) -> _Done | _Question:
        """Cancels all work items of the pool."""
        pool = self.pool_of(path)
        if form.get("confirmed"):
            pool.cancel_all(None)
            return _Done(f"/pools/{pool.name}", "called_off")
        stats = pool.stats(None)
        due = counted(stats.pending, more=stats.pending_at_least)
        later = counted(stats.scheduled, more=stats.scheduled_at_least)
        return _Question(
            f"Cancel all work items of pool {pool.name}? Of them {due} are due and "
            f"{later} are due later. {stats.running} are running and get a request.",
            "Cancel all",
            (),
            f"/pools/{pool.name}",
        )

    def bulk(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Asks about chosen work items, or about all that meet a filter."""
        pool, ids = self.pool_of(path), form.get("id", [])
        given = form.get("all") or form.get("verb") or [""]
        verb = next((known for known in VERBS if known == given[0]), None)
        if verb is None:
            raise UsageError("verb", given[0], "cancel or redrive")
        back = f"/pools/{pool.name}/works"
        if form.get("all"):
            return self._ask_about_all(pool, verb, form, back)
        if not 1 <= len(ids) <= limits.BULK_FORM_MAX:
            raise UsageError("id", len(ids), f"chosen for 1 to {limits.BULK_FORM_MAX} work items")
        states = Counter[str](each.outcome or each.state for each in pool.status_batch(None, ids))
        return self._ask(pool, verb, ids, f"({_counts(states)})", back)

    def _ask_about_all(self, pool: Workpool, verb: Verb, form: _Form, back: str) -> _Done:
        """Asks about the work items that meet the filter of a list and are in a state for the act."""
        given = {name: texts[0] for name, texts in form.items() if texts[0]}
        wanted = filter_of(given, self._insights.now)
        if verb == "redrive":
            wanted = replace(wanted, state="dead")
        elif wanted.state not in ("pending", "running"):
            wanted = replace(wanted, state="pending")
        found = self._insights.matching(pool.name, wanted, limits.BULK_MAX)
        ids = found.value.work_ids
        if not ids:
            raise HTTPException(404, "No work item in a state for it meets the filter.")
        more = ". More meet the filter: these are the first" if found.value.at_least else ""
        read = many(found.cost.read_units, "read unit")
        counts = f"({_counts(found.value.states)}; {read} to find them)"
        return self._ask(pool, verb, ids, f"{counts}{more}", back)

    def _ask(self, pool: Workpool, verb: Verb, ids: Sequence[str], counts: str, back: str) -> _Done:
        chosen = tuple(dict.fromkeys(ids))
        question = (
            f"{verb.capitalize()} {many(len(chosen), 'work item')} of pool {pool.name} {counts}?"
        )
        token = self._insights.token()
        act = BulkAct(id=token, verb=verb, pool=pool.name, question=question, ids=chosen, back=back)
        return _Done(f"/bulk/{self._bulk.ask(act).id}")

    def start_bulk(self, path: Mapping[str, str], _: _Form) -> _Done:
        """Carries out a bulk act that was asked about, once."""
        act = self._bulk.find(path["act"])
        if act is None:
            raise HTTPException(404, f"{FORGOTTEN} Nothing was changed.")
        self._bulk.start(act.id, self._insights.pool_of(act.pool))
        return _Done(f"/bulk/{act.id}")

    def abort_bulk(self, path: Mapping[str, str], _: _Form) -> _Done:
        """Ends a bulk act before its next page."""
        if self._bulk.find(path["act"]) is None:
            raise HTTPException(404, FORGOTTEN)
        self._bulk.abort(path["act"])
        return _Done(f"/bulk/{path['act']}")

    def cancel(self, path: Mapping[str, str], form: _Form) -> _Done | _Question:
        """Cancels one work item."""
        pool, work_id = self.pool_of(path), path["work_id"]
        page = f"/pools/{pool.name}/works/{work_id}"
        if not form.get("confirmed"):
            return _Question(f"Cancel work item {work_id}?", "Cancel it", (), page)
        return _Done(page, "canceled", int(canceled(pool, work_id)))

    def redrive(self, path: Mapping[str, str], _: _Form) -> _Done:
        """Redrives one dead letter."""
        pool = self.pool_of(path)
        again = pool.redrive(None, path["work_id"])
        return _Done(f"/pools/{pool.name}/works/{again}", "redriven")

    def enqueue_again(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Enqueues a work item with other arguments, and else the same options, due now."""
        pool, text = self.pool_of(path), (form.get("args") or [""])[0]
        try:
            args = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError("args", text, "a JSON object") from error
        details = pool.show(None, path["work_id"], context=True)
        options = options_of(details)
        if details.unique_key is not None:
            # A held key is an answer that the visitor has to see, not the id of another work item.
            options["on_conflict"] = "raise"
        enqueue = {
            "action": pool.enqueue_action,
            "query": pool.enqueue_query,
            "mutation": pool.enqueue_mutation,
        }[details.status.kind]
        again = enqueue(None, details.status.job or details.target, args, **options)
        return _Done(f"/pools/{pool.name}/works/{again}", "enqueued")

    def schedule(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Pauses, resumes or runs a schedule."""
        pool, name = self.pool_of(path), path["schedule"]
        verb = (form.get("verb") or [""])[0]
        back = f"/pools/{pool.name}/schedules"
        match verb:
            case "pause":
                pool.pause_schedule(None, name)
                return _Done(back, "schedule_paused")
            case "resume":
                pool.resume_schedule(None, name)
                return _Done(back, "schedule_resumed")
            case "run":
                work_id = pool.run_now(None, name)
                return _Done(f"/pools/{pool.name}/works/{work_id}", "enqueued")
            case _:
                raise UsageError("verb", verb, "pause, resume or run")

    def cancel_group(self, path: Mapping[str, str], _: _Form) -> _Done:
        """Asks about the members of a group that are not over."""
        pool, group_id = self.pool_of(path), path["group"]
        group = pool.group(None, group_id)
        if group.state == "unknown":
            raise NotFound.of_group(group_id, pool.name)
        left = group.total - group.over
        if not left:
            raise HTTPException(404, "All members of the group are over. Nothing was changed.")
        act = BulkAct(
            id=self._insights.token(),
            verb="cancel",
            pool=pool.name,
            question=f"Cancel group {group_id} of pool {pool.name}? {left} of its "
            f"{many(group.total, 'member')} {'is' if left == 1 else 'are'} not over. "
            "Those that run get a request.",
            ids=(),
            group=group_id,
            members=left,
            back=f"/pools/{pool.name}/groups/{group_id}",
        )
        return _Done(f"/bulk/{self._bulk.ask(act).id}")

    def redrive_group(self, path: Mapping[str, str], _: _Form) -> _Done:
        """Asks about all dead letters of one error."""
        pool = self.pool_of(path)
        found = self._insights.errors(pool.name).value.groups
        group = next((each for each in found if each.fingerprint == path["fingerprint"]), None)
        if group is None:
            raise HTTPException(404, "No dead letter has this error any more. Nothing was changed.")
        error = f"({group.label}: {group.error_type})"
        return self._ask(pool, "redrive", group.work_ids, error, f"/pools/{pool.name}/errors")

    def mark_error(self, path: Mapping[str, str], form: _Form) -> _Done:
        """Marks an error as resolved or ignored, or opens it again."""
        pool, state = self.pool_of(path), (form.get("state") or [""])[0]
        checked = next((known for known in _MARKS if known == state), None)
        if checked is None:
            raise UsageError("state", state, f"one of {', '.join(_MARKS)}")
        self._insights.mark_error(pool.name, path["fingerprint"], checked)
        return _Done(f"/pools/{pool.name}/errors", _MARKS[checked])


def _counts(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(states).most_common())


ACTS: Final[Mapping[str, _Act]] = {
    "/pools/{pool}/limit": Acts.set_limit,
    "/pools/{pool}/rate": Acts.set_rate,
    "/pools/{pool}/pause": Acts.pause,
    "/pools/{pool}/cancel-all": Acts.cancel_all,
    "/pools/{pool}/works": Acts.bulk,
    "/pools/{pool}/works/{work_id}/cancel": Acts.cancel,
    "/pools/{pool}/works/{work_id}/redrive": Acts.redrive,
    "/pools/{pool}/works/{work_id}/again": Acts.enqueue_again,
    "/pools/{pool}/schedules/{schedule}": Acts.schedule,
    "/pools/{pool}/groups/{group}/cancel": Acts.cancel_group,
    "/pools/{pool}/errors/{fingerprint}/redrive": Acts.redrive_group,
    "/pools/{pool}/errors/{fingerprint}/mark": Acts.mark_error,
    "/bulk/{act}": Acts.start_bulk,
    "/bulk/{act}/abort": Acts.abort_bulk,
}
"""The path of each act."""
