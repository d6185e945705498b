"""The fixture of the pytest plugin, as a user's project sees it."""

import sys

import pytest

pytest_plugins = ["pytester"]

CONFTEST = "from workpool_aws.local.pytest_plugin import workpool_cloud as workpool_cloud"


def test_the_fixture_runs_a_pool(pytester: pytest.Pytester) -> None:
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


def test_without_moto_it_fails_with_the_name_of_the_extra(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        def test_a_work_runs(workpool_cloud):
            raise AssertionError("not reached")

        def test_others_are_not_disturbed():
            pass
        """
    )

    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    outcome.assert_outcomes(errors=1, passed=1)
    outcome.stdout.fnmatch_lines(["*workpool-aws[[]local[]]*"])
