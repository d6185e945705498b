"""Deploys the pools that `workpool.toml` describes: `cdk deploy` in this directory."""

from __future__ import annotations

from aws_cdk import App

from workpool_cdk.app import add_stack

app = App()
add_stack(app)
app.synth()
