"""The fixture of the pytest plugin, as a user's project sees it."""

import sys

import pytest

pytest_plugins = ["pytester"]

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
