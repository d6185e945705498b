"""The recipes of docs/task-pool.md run, and print what stands below them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from pathlib import Path

import httpx
import pytest

from tests.kit.lambdas import LambdaContext
from workpool_aws import TaskPool

PAGE = Path(__file__).parents[3] / "docs" / "task-pool.md"
TEXT = PAGE.read_text(encoding="utf-8")
RECIPE = re.compile(
    r"^### (?P<title>[^\n]+)\n\n<!-- recipe -->\n```python\n(?P<code>.*?)^```\n\n```text\n(?P<printed>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
RECIPES = [
    pytest.param(found["code"], found["printed"], id=found["title"])
    for found in RECIPE.finditer(TEXT)
]


def get(app, path):
    async def ask():
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            return (await client.get(path)).json()

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def no_shared_pool():
    TaskPool.shared().done()
    yield
    TaskPool.shared().done()


def test_every_recipe_that_is_marked_is_found():
    assert len(RECIPES) == TEXT.count("<!-- recipe -->") == 6


@pytest.mark.parametrize(("code", "printed"), RECIPES)
def test_recipe_prints_what_stands_below_it(code, printed):
    said = io.StringIO()
    names = {
        "__name__": "recipe",
        "lambda_context": LambdaContext(),
        "context_at_its_end": LambdaContext(2_000),
        "get": get,
    }

    with contextlib.redirect_stdout(said):
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own code is what is tested

    assert said.getvalue() == printed
