"""Growth of the pages of a read."""

from workpool_aws.core import limits
from workpool_aws.core.reading import page_limit_after


def test_pages_grow_to_limit_and_never_shrink() -> None:
    sizes = [limits.QUERY_LIMIT_MIN]
    for _ in range(8):
        sizes.append(page_limit_after(sizes[-1]) or 0)

    assert sizes == [6, 24, 96, 200, 200, 200, 200, 200, 200]
    assert page_limit_after(500) == 500
    assert page_limit_after(None) is None
