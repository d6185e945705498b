from datetime import timedelta

import mail
import orders
import pytest
import web

from workpool_aws.local import LocalCloud
from workpool_aws.testing import assert_enqueued, perform, refute_enqueued

BOOK = {"id": "7", "email": "ann@example.com", "cents": 1290}


@pytest.fixture
def cloud(workpool_cloud: LocalCloud) -> LocalCloud:
    workpool_cloud.function(mail.handler, name="mail")
    workpool_cloud.function(orders.handler, name="orders")
    return workpool_cloud


def test_one_job() -> None:
    assert perform(orders.quote_shipping, country="DE") == 500


def test_a_paid_order_is_shipped_and_confirmed(cloud: LocalCloud) -> None:
    answer = web.handler(BOOK, None)
    cloud.run_until_idle(raise_failures=True)

    result = orders.charge.result(None, answer["work_id"])
    assert result is not None
    assert result.return_value == "receipt-7"
    assert_enqueued(orders.ship, receipt="receipt-7")
    assert_enqueued(mail.send_invoice, to="ann@example.com", cents=1290)


def test_a_review_is_asked_for_a_week_later(cloud: LocalCloud) -> None:
    web.handler(BOOK, None)
    cloud.run_until_idle()
    review = assert_enqueued(mail.ask_for_review, order="7")
    assert mail.ask_for_review.result(None, review.work_id) is None

    cloud.advance(timedelta(days=7))

    result = mail.ask_for_review.result(None, review.work_id)
    assert result is not None
    assert result.return_value == "How was order 7? To: ann@example.com"


def test_an_order_that_is_not_paid_goes_nowhere(cloud: LocalCloud) -> None:
    cloud.fail_next(orders.charge, RuntimeError("the card was declined"))
    web.handler(BOOK, None)
    cloud.run_until_idle()

    refute_enqueued(orders.ship)
