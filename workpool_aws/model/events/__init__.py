"""Events: one class for each thing that the library reports.

`docs/events.md` lists them, and a test compares the two.

A new event is a class in the module of its subject, and a row of that page.
"""

from workpool_aws.model.events.callback import *
from workpool_aws.model.events.event import *
from workpool_aws.model.events.loop import *
from workpool_aws.model.events.pool import *
from workpool_aws.model.events.task import *
from workpool_aws.model.events.work import *
