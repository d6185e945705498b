"""Users' functions, queues and topics that are added, and refusals."""

from typing import Any

import pytest

pytest.importorskip("aws_cdk", reason="aws-cdk-lib is not installed: `make infra` installs it")

from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from tests.infra.deployment import Deployed
from workpool_aws.settings import DECORATED, pools_served, read_settings
from workpool_cdk import ConfigurationError, Workpool

Statement = dict[str, Any]


def events_of(deployed: Deployed, function: str) -> list[dict[str, Any]]:
    return [
        each
        for name, each in deployed.of_type("AWS::Lambda::EventInvokeConfig").items()
        if name.startswith(function)
    ]


def policy_of(deployed: Deployed, function: str) -> list[Statement]:
    policies = [
        each
        for name, each in deployed.of_type("AWS::IAM::Policy").items()
        if name.startswith(f"{function}ServiceRole")
    ]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def actions_in(statements: list[Statement]) -> set[str]:
    return {
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }


def environment_of(deployed: Deployed, function: str) -> dict[str, Any]:
    found = [
        each
        for name, each in deployed.of_type("AWS::Lambda::Function").items()
        if name.startswith(function)
    ]
    return dict(found[0].get("Environment", {}).get("Variables", {}))


def test_decorated_action_reports_by_itself_and_only_its_failures_go_to_completion() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))

    (events,) = events_of(deployed, "SendEmail")
    assert (
        events["MaximumRetryAttempts"],
        events["MaximumEventAgeInSeconds"],
        events["Qualifier"],
    ) == (0, 60, "$LATEST")
    assert list(events["DestinationConfig"]) == ["OnFailure"]
    told = environment_of(deployed, "SendEmail")
    assert told.keys() == {
        "WORKPOOL_TABLE",
        "WORKPOOL_LOOP_ARN",
        "WORKPOOL_COMPLETION_ARN",
        "WORKPOOL_SERVES",
        "WORKPOOL_LEAN_CALLS",
        DECORATED,
    }
    assert told[DECORATED] == "1"
    assert "dynamodb:UpdateItem" in actions_in(policy_of(deployed, "SendEmail"))
    assert not {"dynamodb:Query", "dynamodb:Scan", "dynamodb:DeleteItem"} & actions_in(
        policy_of(deployed, "SendEmail")
    )


def test_undecorated_action_has_no_access_to_table() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("Legacy"), decorated=False)

    (events,) = events_of(deployed, "Legacy")
    assert sorted(events["DestinationConfig"]) == ["OnFailure", "OnSuccess"]
    assert actions_in(policy_of(deployed, "Legacy")) == {"lambda:InvokeFunction"}
    assert environment_of(deployed, "Legacy") == {"WORKPOOL_SERVES": "email,reports"}


def test_lambda_may_not_stop_chain_that_goes_through_action() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))

    functions = deployed.of_type("AWS::Lambda::Function")
    assert {each["RecursiveLoop"] for each in functions.values()} == {"Allow"}


def test_action_for_one_pool_reports_for_that_pool_only() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"), pools=["email"])

    conditions = [
        each["Condition"] for each in policy_of(deployed, "SendEmail") if "Condition" in each
    ]
    keys = {
        key
        for each in conditions
        for key in each["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }
    assert {key.partition("#")[0] for key in keys} == {"email", ""}


def test_loop_may_invoke_what_was_added_and_nothing_else() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"))
    deployed.function("Never")

    roles = [each for name, each in deployed.of_type("AWS::IAM::Policy").items() if "Loop" in name]
    invoked = [
        resource
        for policy in roles
        for each in policy["PolicyDocument"]["Statement"]
        if "lambda:InvokeFunction" in each["Action"]
        for resource in (
            [each["Resource"]] if not isinstance(each["Resource"], list) else each["Resource"]
        )
    ]
    named = [resource["Fn::GetAtt"][0] for resource in invoked if "Fn::GetAtt" in resource]
    assert len(named) == 1
    assert named[0].startswith("SendEmail")


def test_adding_action_again_with_same_options_changes_nothing() -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail")
    deployed.pool.add_action(function)
    once = deployed.template()
    again = Deployed()
    function = again.function("SendEmail")
    again.pool.add_action(function)
    again.pool.add_action(function)

    assert again.template() == once


def test_two_options_for_one_function_are_refused() -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail")
    deployed.pool.add_action(function)

    with pytest.raises(
        ConfigurationError, match=r"different asynchronous settings \(event age in seconds\)"
    ):
        deployed.pool.add_action(function, event_age=Duration.minutes(5))
    with pytest.raises(
        ConfigurationError, match=r"different asynchronous settings \(success destination\)"
    ):
        deployed.pool.add_action(function, decorated=False)


def test_two_tables_cannot_share_function_but_can_share_its_code_by_aliases() -> None:
    deployed = Deployed()
    other = Workpool(deployed.stack, "Other", {"email": {}})
    function = deployed.function("SendEmail")
    deployed.pool.add_action(function)

    with pytest.raises(
        ConfigurationError,
        match=r"Mail/Other and Mail/Pools want different asynchronous settings \(failure destination\)",
    ):
        other.add_action(function)
    other.add_action(function.add_alias("for-other"))

    assert [each["Qualifier"] for each in events_of(deployed, "SendEmail")] == [
        "$LATEST",
        "for-other",
    ]


def test_function_of_two_tables_is_told_of_no_loop_and_asks_table() -> None:
    deployed = Deployed()
    other = Workpool(deployed.stack, "Other", {"email": {}})
    api = deployed.function("Api")
    deployed.pool.grant_enqueue(api)
    other.grant_enqueue(api)

    told = environment_of(deployed, "Api")
    assert (told["WORKPOOL_LOOP_ARN"], told["WORKPOOL_COMPLETION_ARN"]) == ("", "")


def test_asynchronous_settings_of_functions_own_are_refused() -> None:
    deployed = Deployed()
    with pytest.raises(ConfigurationError, match="asynchronous settings of its own"):
        deployed.pool.add_action(deployed.function("SendEmail", retry_attempts=2))


def test_function_that_wants_its_chains_stopped_is_refused() -> None:
    deployed = Deployed()
    with pytest.raises(ConfigurationError, match=r"RecursiveLoop\.TERMINATE"):
        deployed.pool.add_action(
            deployed.function("SendEmail", recursive_loop=lambda_.RecursiveLoop.TERMINATE)
        )


def test_imported_function_is_refused_as_action() -> None:
    deployed = Deployed()
    imported = lambda_.Function.from_function_arn(
        deployed.stack, "Theirs", "arn:aws:lambda:us-east-1:111122223333:function:theirs"
    )

    with pytest.raises(ConfigurationError, match="an imported function cannot be added"):
        deployed.pool.add_action(imported)
    deployed.pool.add_on_complete(imported, decorated=False)


def test_pool_that_is_not_there_is_refused() -> None:
    deployed = Deployed()
    with pytest.raises(
        ConfigurationError,
        match=r"pools must be None or a list of pools of this Workpool \(email, reports\); got \['mail'\]",
    ):
        deployed.pool.grant_enqueue(deployed.function("Api"), pools=["mail"])


def test_action_in_another_stack_makes_no_circle() -> None:
    deployed = Deployed()
    workers = Stack(deployed.app, "Workers")
    deployed.pool.add_action(deployed.function("SendEmail", stack=workers))
    deployed.pool.add_on_complete(deployed.function("EmailSent", stack=workers))

    assembly = deployed.app.synth()

    assert [
        each.manifest.display_name
        for each in assembly.get_stack_by_name("Workers").dependencies
        if "assets" not in each.id
    ] == ["Mail"]
    assert [
        each.id
        for each in assembly.get_stack_by_name("Mail").dependencies
        if "assets" not in each.id
    ] == []


@pytest.mark.parametrize("targets_first", [False, True])
def test_whoever_finishes_work_may_tell_its_target(targets_first: bool) -> None:
    deployed = Deployed()
    steps = [
        lambda: deployed.pool.add_action(deployed.function("SendEmail")),
        lambda: deployed.pool.add_on_complete(sqs.Queue(deployed.stack, "Told")),
    ]
    for step in reversed(steps) if targets_first else steps:
        step()

    policies = deployed.of_type("AWS::IAM::Policy")
    may_send = {
        name
        for name, each in policies.items()
        if "sqs:GetQueueUrl" in actions_in(each["PolicyDocument"]["Statement"])
    }
    assert len(may_send) == 3
    assert {
        which for which in ("Completion", "Loop", "SendEmail") for name in may_send if which in name
    } == {
        "Completion",
        "Loop",
        "SendEmail",
    }


def test_decorated_handler_may_mark_works_and_read_nothing() -> None:
    deployed = Deployed()
    deployed.pool.add_on_complete(deployed.function("EmailSent"))

    (events,) = events_of(deployed, "EmailSent")
    assert (events["MaximumRetryAttempts"], events["MaximumEventAgeInSeconds"]) == (2, 300)
    assert list(events["DestinationConfig"]) == ["OnFailure"]
    assert {
        action for action in actions_in(policy_of(deployed, "EmailSent")) if "dynamodb" in action
    } == {"dynamodb:UpdateItem"}
    told = environment_of(deployed, "EmailSent")
    assert told.keys() == {
        "WORKPOOL_TABLE",
        "WORKPOOL_LOOP_ARN",
        "WORKPOOL_COMPLETION_ARN",
        "WORKPOOL_SERVES",
        "WORKPOOL_LEAN_CALLS",
        DECORATED,
    }
    assert (told[DECORATED], told["WORKPOOL_SERVES"]) == ("1", "email,reports")


def test_watchdog_is_told_which_handlers_acknowledge() -> None:
    deployed = Deployed()
    elsewhere = Stack(deployed.app, "Workers")
    deployed.pool.add_on_complete(deployed.function("EmailSent", function_name="email-sent"))
    deployed.pool.add_on_complete(deployed.function("ReportSent"))
    deployed.pool.add_on_complete(
        deployed.function("Named", stack=elsewhere, function_name="named")
    )
    deployed.pool.add_on_complete(deployed.function("Nameless", stack=elsewhere))
    deployed.pool.add_on_complete(deployed.function("Plain"), decorated=False)

    joined = environment_of(deployed, "PoolsWatchdog")["WORKPOOL_ACKNOWLEDGING"]["Fn::Join"][1]
    said = "".join(part if isinstance(part, str) else "report-sent" for part in joined)

    assert read_settings({"WORKPOOL_ACKNOWLEDGING": said}).acknowledging == (
        "email-sent",
        "named",
        "report-sent",
    )


def test_watchdog_is_told_which_function_is_which_job() -> None:
    deployed = Deployed()
    elsewhere = Stack(deployed.app, "Workers")
    mailer = deployed.function("SendEmail", function_name="mailer")
    crawler = deployed.function("Crawl", stack=elsewhere, function_name="crawler")
    deployed.pool.add_action(mailer, name="mail.send")
    deployed.pool.add_action(mailer, name="mail.send")
    deployed.pool.add_action(mailer.add_alias("live"), name="mail.send.live")
    deployed.pool.add_action(crawler, name="crawl")
    deployed.pool.add_action(deployed.function("Nameless"))

    assert read_settings(
        {"WORKPOOL_JOBS": environment_of(deployed, "PoolsWatchdog")["WORKPOOL_JOBS"]}
    ).jobs == (("crawl", "crawler"), ("mail.send", "mailer"), ("mail.send.live", "mailer:live"))


def test_job_of_function_that_is_named_when_it_is_deployed() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"), name="send_email")

    told = environment_of(deployed, "PoolsWatchdog")["WORKPOOL_JOBS"]["Fn::Join"][1]

    assert told[0] == "send_email="
    assert "SendEmail" in told[1]["Ref"]


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, 5])
def test_name_that_no_job_can_have_is_refused(name: object) -> None:
    deployed = Deployed()

    with pytest.raises(ConfigurationError, match=r"^name must be"):
        deployed.pool.add_action(deployed.function("SendEmail"), name=name)  # type: ignore[arg-type]


def test_second_function_of_job_is_refused() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("SendEmail"), name="send_email")

    with pytest.raises(
        ConfigurationError, match=r"Other: another function is the job 'send_email'"
    ):
        deployed.pool.add_action(deployed.function("Other"), name="send_email")


def test_handler_of_callbacks_has_a_name_too() -> None:
    deployed = Deployed()
    both = deployed.function("Both", function_name="both")
    deployed.pool.add_action(both, name="send_email")
    deployed.pool.add_on_complete(both, name="email_sent")

    assert environment_of(deployed, "PoolsWatchdog")["WORKPOOL_JOBS"] == (
        "send_email=both,email_sent=both"
    )


def test_function_of_many_jobs_and_callbacks_is_added_once() -> None:
    deployed = Deployed()
    app = deployed.function("App", function_name="app")
    deployed.pool.add_handler(app, jobs=["send_email", "crawl"], on_complete=["email_sent"])

    told = environment_of(deployed, "PoolsWatchdog")
    assert told["WORKPOOL_JOBS"] == "send_email=app,crawl=app,email_sent=app"
    assert told["WORKPOOL_ACKNOWLEDGING"] == "app"
    assert len(events_of(deployed, "App")) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "jobs"),
        ({"jobs": "send_email"}, "jobs"),
        ({"jobs": ["a b"]}, r"jobs\[0\]"),
        ({"on_complete": None}, "on_complete"),
    ],
)
def test_bad_names_of_function_of_many_jobs_are_refused(given: Any, field: str) -> None:
    deployed = Deployed()

    with pytest.raises(ConfigurationError, match=f"^{field} must be"):
        deployed.pool.add_handler(deployed.function("App"), **given)


def test_name_of_target_that_is_no_decorated_function_is_refused() -> None:
    deployed = Deployed()

    for target in (sqs.Queue(deployed.stack, "Told"), deployed.function("Plain")):
        with pytest.raises(ConfigurationError, match=r"^name must be None"):
            deployed.pool.add_on_complete(target, decorated=False, name="told")


def test_job_of_function_that_only_its_own_stack_can_name_is_refused() -> None:
    deployed = Deployed()
    function = deployed.function("Crawl", stack=Stack(deployed.app, "Workers"))

    with pytest.raises(ConfigurationError, match="give it a function_name"):
        deployed.pool.add_action(function, name="crawl")


def test_more_jobs_than_watchdogs_environment_can_name_are_refused() -> None:
    deployed = Deployed()
    function = deployed.function("SendEmail", function_name="f" * 64)

    for n in range(27):
        deployed.pool.add_action(function, name=f"{n:03}{'x' * 52}")

    with pytest.raises(ConfigurationError, match=r"add_action: .* 28 jobs.*3400 bytes"):
        deployed.pool.add_action(function, name="x" * 55)


def test_more_handlers_than_watchdogs_environment_can_name_are_refused() -> None:
    deployed = Deployed()
    for n in range(51):
        deployed.pool.add_on_complete(deployed.function(f"Sent{n}"))

    with pytest.raises(ConfigurationError, match=r"the names of 52 handlers.*3400 bytes"):
        deployed.pool.add_on_complete(deployed.function("OneMore"))


def test_plain_target_is_left_as_it_is() -> None:
    deployed = Deployed()
    deployed.pool.add_on_complete(deployed.function("Plain"), decorated=False)

    assert events_of(deployed, "Plain") == []
    assert policy_of(deployed, "Plain") == []


def test_whoever_enqueues_can_neither_list_works_nor_remove_them() -> None:
    """It reads the one that holds a unique key, by its id."""
    deployed = Deployed()
    deployed.pool.grant_enqueue(deployed.function("Api"))

    on_works = [
        each
        for each in policy_of(deployed, "Api")
        if "Condition" in each
        and any(
            "#work#" in key
            for key in each["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        )
    ]
    assert actions_in(on_works) == {
        "dynamodb:ConditionCheckItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }


def test_whoever_reads_changes_nothing() -> None:
    deployed = Deployed()
    deployed.pool.grant_read(deployed.function("Board"))

    assert actions_in(policy_of(deployed, "Board")) == {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
    }


def test_function_says_which_pools_may_run_it_in_all_calls_together() -> None:
    deployed = Deployed()
    both, one, code = deployed.function("Both"), deployed.function("One"), deployed.function("Code")
    deployed.pool.add_action(both, pools=["reports"])
    deployed.pool.add_on_complete(both, pools=["email"])
    deployed.pool.add_action(one, decorated=False, pools=["email"])
    deployed.pool.add_action(code.add_alias("live"), pools=["reports"])

    said = {
        name: environment_of(deployed, name)["WORKPOOL_SERVES"] for name in ("Both", "One", "Code")
    }
    assert said == {"Both": "email,reports", "One": "email", "Code": "reports"}
    assert pools_served(said["Both"]) == {"email", "reports"}


def test_worker_may_send_to_targets_of_its_own_pools_only() -> None:
    deployed = Deployed()
    deployed.pool.add_action(deployed.function("Before"), pools=["email"])
    deployed.pool.add_on_complete(sqs.Queue(deployed.stack, "OfEmail"), pools=["email"])
    deployed.pool.add_on_complete(sqs.Queue(deployed.stack, "OfReports"), pools=["reports"])
    deployed.pool.add_action(deployed.function("After"), pools=["email"])

    for worker in ("Before", "After"):
        sent_to = [
            each["Resource"]
            for each in policy_of(deployed, worker)
            if "sqs:SendMessage" in each["Action"]
        ]
        assert [each["Fn::GetAtt"][0][:7] for each in sent_to] == ["OfEmail"]


def test_librarys_functions_know_their_own_table() -> None:
    deployed = Deployed()

    tables = [
        environment_of(deployed, f"Pools{name}")["WORKPOOL_TABLE"]
        for name in ("Loop", "Completion", "Watchdog")
    ]
    assert tables == [{"Ref": "PoolsStoreTable06AA86E3"}] * 3
