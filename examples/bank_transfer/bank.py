"""The Lambda function: it moves money between items of your own table, once each."""

from __future__ import annotations

import os

from workpool_aws import RetryPolicy, Transaction, Workpool

pool = Workpool(os.environ.get("WORKPOOL_TABLE", "my-table"), "bank", max_parallelism=4)


@pool.mutation(retry=RetryPolicy(max_attempts=20))
def transfer(tx: Transaction, source: str, target: str, cents: int) -> int:
    """Move money. Actions of `tx` happen with the success of this function, or not at all."""
    account = tx.get("accounts", {"id": source})
    if account is None or account["cents"] < cents:
        raise ValueError(f"{source} has too little")
    tx.update("accounts", {"id": source}, set={"cents": account["cents"] - cents})
    tx.update("accounts", {"id": target}, add={"cents": cents})
    return cents
