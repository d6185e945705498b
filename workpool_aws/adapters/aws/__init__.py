"""AWS clients: Lambda, EventBridge Scheduler, SQS and SNS."""
