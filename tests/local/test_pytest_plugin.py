"""The fixture of the pytest plugin, as a user's project sees it."""

import logging
import sys
from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

SECTION = "*workpool: work items and callbacks that failed*"
CONFTEST = "from workpool_aws.local.pytest_plugin import workpool_cloud as workpool_cloud"


def test_fixture_runs_pool(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        def test_a_work_runs(workpool_cloud):
            pool = workpool_cloud.workpool("email")
            fn = workpool_cloud.function(lambda event, context: event["n"])
            work_id = pool.enqueue_action(None, fn, {"n": 1})
            workpool_cloud.run_until_idle()
            assert pool.result(None, work_id).return_value == 1

        def test_another_cloud_is_another(workpool_cloud):
            assert workpool_cloud.capacity.by_label == {}
        """
    )

    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_fixture_without_moto_fails_with_name_of_extra(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import boto3
        import pytest

        @pytest.mark.workpool(engine="moto")
        def test_on_moto(workpool_cloud):
            raise AssertionError("not reached")

        def test_with_a_queue_of_its_own(workpool_cloud):
            boto3.client("sqs").list_queues()

        def test_others_are_not_disturbed(workpool_cloud):
            pass
        """
    )

    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    outcome.assert_outcomes(errors=1, failed=1, passed=1)
    assert outcome.stdout.str().count("install workpool-aws[local]") >= 2


def test_nearest_mark_gives_cloud_its_options(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.workpool(duplicate_deliveries=1.0, seed=3)

        def ran(cloud):
            cloud.invoke(cloud.function(lambda event, context: None), {})
            cloud.run_until_idle()
            return len(cloud.invocations("lambda"))

        def test_of_the_module(workpool_cloud):
            assert ran(workpool_cloud) == 2

        @pytest.mark.workpool(duplicate_deliveries=0.0)
        def test_of_the_test(workpool_cloud):
            assert ran(workpool_cloud) == 1

        @pytest.mark.workpool(duplicate_deliverys=0.0)
        def test_a_typo(workpool_cloud):
            pass

        @pytest.mark.workpool("moto")
        def test_without_a_name(workpool_cloud):
            pass
        """
    )

    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers")

    outcome.assert_outcomes(passed=2, errors=2)
    outcome.stdout.fnmatch_lines(
        ["*must be an option of LocalCloud ([[]*'duplicate_deliveries'*got 'duplicate_deliverys'*"]
    )
    outcome.stdout.fnmatch_lines(["*takes options of LocalCloud by name; got 'moto'*"])


WORKER = """
    import logging
    import pytest
    from datetime import timedelta
    from workpool_aws import RetryPolicy, Workpool

    pool = Workpool("workpool-local")
    log = logging.getLogger("shop")

    @pool.action
    def send_email(to):
        log.warning("no route for %s", to)
        log.debug("not shown")
        raise ConnectionError("mail server")  # the user's line

    @pytest.fixture
    def enqueued(workpool_cloud):
        workpool_cloud.function(send_email)
        return pool.enqueue_action(None, "send_email", {"to": "ann"})
"""


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(dedent(WORKER) + dedent(tests))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def test_failed_test_shows_work_items_that_failed(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def test_sent(workpool_cloud, enqueued):
            log.warning("of the test")
            workpool_cloud.run_until_idle()
            assert pool.result(None, enqueued).kind == "success"
        """,
    )

    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(
        [
            SECTION,
            "send_email(to='ann') failed in its only attempt: ConnectionError: mail server (pool default, *",
            "  Traceback (most recent call last):",
            "*, in send_email",
            "*raise ConnectionError*# the user's line",
            "  ConnectionError: mail server",
            "  Log of its code:",
            "    WARNING shop: no route for ann",
        ],
        consecutive=False,
    )
    section = outcome.stdout.str().partition(SECTION.strip("*"))[2].partition("Captured")[0]
    assert "of the test" not in section
    assert "not shown" not in section


def test_failed_test_shows_attempts_that_will_be_made_again(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def test_sent(workpool_cloud):
            workpool_cloud.function(send_email)
            later = RetryPolicy(initial_backoff=timedelta(hours=5))
            pool.enqueue_action(None, "send_email", {"to": "ann"}, retry=later)
            workpool_cloud.run_until_idle()
            assert False
        """,
    )

    outcome.stdout.fnmatch_lines(
        [SECTION, "send_email(to='ann') failed in attempt 1 of 5 and is pending:*"]
    )


def test_raised_failure_leads_to_line_of_user(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def test_sent(workpool_cloud, enqueued):
            workpool_cloud.run_until_idle(raise_failures=True)
        """,
    )

    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(
        [
            ">       workpool_cloud.run_until_idle(raise_failures=True)",
            ">       raise ConnectionError*# the user's line",
            "E       ConnectionError: mail server",
            "E       send_email(to='ann') failed in its only attempt*",
        ]
    )
    outcome.stdout.no_fnmatch_line("*cloud.py*")
    outcome.stdout.no_fnmatch_line("*failures.py*")


def test_other_tests_have_no_section(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def test_passes(workpool_cloud, enqueued):
            workpool_cloud.run_until_idle()

        def test_without_failures(workpool_cloud):
            assert False

        def test_without_a_cloud():
            assert False
        """,
    )

    outcome.assert_outcomes(passed=1, failed=2)
    outcome.stdout.no_fnmatch_line(SECTION)


def test_cloud_of_tests_own_is_shown_too(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        from workpool_aws.local import LocalCloud

        @pytest.fixture
        def cloud():
            with LocalCloud() as cloud:
                yield cloud

        def test_sent(cloud):
            cloud.function(send_email)
            pool.enqueue_action(None, "send_email", {"to": "ann"})
            cloud.run_until_idle()
            assert False
        """,
    )

    outcome.stdout.fnmatch_lines([SECTION, "send_email(to='ann') failed*"])


def test_failures_that_cannot_be_read_leave_report_whole(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def test_sent(workpool_cloud, enqueued, monkeypatch):
            def fail(self):
                raise RuntimeError("broken")

            monkeypatch.setattr(type(workpool_cloud), "failed_attempts", fail)
            assert False, "the test's own"
        """,
    )

    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*the test's own*", "(they could not be read: RuntimeError)"])


def test_message_that_cannot_be_formatted_is_shown_as_such(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        def bad(event, context):
            log.warning("%d", "no number")
            raise ValueError("bad")

        def test_sent(workpool_cloud, monkeypatch):
            monkeypatch.setattr(logging, "raiseExceptions", False)
            workpool_cloud.function(bad)
            pool.enqueue_action(None, "bad", {})
            workpool_cloud.run_until_idle()
            assert False
        """,
        "-p",
        "no:logging",
    )

    outcome.stdout.fnmatch_lines(["    WARNING shop: (a message that cannot be formatted)"])


def test_no_handler_is_left_behind(pytester: pytest.Pytester) -> None:
    before = list(logging.getLogger().handlers)

    run(pytester, "def test_passes(workpool_cloud): pass").assert_outcomes(passed=1)

    assert logging.getLogger().handlers == before


def test_mark_of_documentation_gives_misbehaving_cloud(pytester: pytest.Pytester) -> None:
    outcome = run(
        pytester,
        """
        @pytest.mark.workpool(engine="moto", seed=3, crash_rate=0.3)
        def test_on_moto(workpool_cloud):
            import boto3

            workpool_cloud.function(lambda event, context: event["n"], name="count")
            ids = pool.enqueue_query_batch(None, "count", [{"n": n} for n in range(6)])
            workpool_cloud.run_until_idle()

            assert [pool.result(None, each).return_value for each in ids] == list(range(6))
            ended = {each.outcome for each in workpool_cloud.invocations("count")}
            assert ended == {"success", "crashed"}
            assert boto3.client("dynamodb").list_tables()["TableNames"] == [workpool_cloud.table]
        """,
    )

    outcome.assert_outcomes(passed=1)
