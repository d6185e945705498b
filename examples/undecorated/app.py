"""Uses existing Lambda handlers as workers, unchanged. They may be written in any language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from workpool_aws.local import LocalCloud


def resize_image(event: dict[str, Any], _context: object) -> dict[str, object]:
    """An ordinary handler. Its event is the arguments, and its return value is the result."""
    if event["width"] <= 0:
        raise ValueError("width must be positive")
    return {"image": event["image"], "size": [event["width"], event["width"] * 2 // 3]}


def main() -> None:
    """Enqueues three work items. One succeeds, one fails, and one exceeds its function's timeout."""
    with LocalCloud(clock="virtual") as cloud:
        resize = cloud.function(resize_image, name="resize", timeout=timedelta(seconds=10))
        # A function body takes no virtual time; `takes` is the duration of a real one.
        render = cloud.function(
            resize_image,
            name="render",
            timeout=timedelta(seconds=10),
            takes=timedelta(minutes=1),
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
