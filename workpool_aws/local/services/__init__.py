"""Services of the stand-in: Lambda, Scheduler, queues and topics."""
