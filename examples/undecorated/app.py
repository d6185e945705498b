"""Uses Lambda functions that know nothing of the library: an existing handler, in whatever language, becomes a worker as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from workpool_aws.local import LocalCloud


def resize_image(event: dict[str, Any], context: object) -> dict[str, object]:  # noqa: ARG001 - the shape that Lambda calls
    """An ordinary handler.

    The arguments are its event; what it returns is the result, what it raises the error.
    """
    if event["width"] <= 0:
        raise ValueError("width must be positive")
    return {"image": event["image"], "size": [event["width"], event["width"] * 2 // 3]}


def main() -> None:
    """Three works: one succeeds, one fails, one runs into the timeout of its function.

    All that Lambda knows, the pool learns.
    """
    with LocalCloud(clock="virtual") as cloud:
        resize = cloud.function(resize_image, name="resize", timeout=timedelta(seconds=10))
        # In virtual time a body takes none by itself: `takes` says how long this function really
        # works.
        render = cloud.function(
            resize_image, name="render", timeout=timedelta(seconds=10), takes=timedelta(minutes=1)
        )
        images = cloud.workpool("images", max_parallelism=2)

        ids = [
            images.enqueue_action(None, resize, {"image": "cat.png", "width": 300}),
            images.enqueue_action(None, resize, {"image": "dog.png", "width": 0}),
            images.enqueue_action(None, render, {"image": "whale.png", "width": 9000}),
        ]
        cloud.run_until_idle(timeout=timedelta(minutes=10))

        for work_id in ids:
            result = images.result(None, work_id)
            if result is not None and result.kind == "success":
                print("resized:", result.return_value)
            elif result is not None:
                print("failed: ", result.error_type)


if __name__ == "__main__":
    main()
