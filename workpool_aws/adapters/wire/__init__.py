"""JSON messages between Lambdas, and Lambda's destination records.

Writing is strict, reading is tolerant. Unknown fields are passed over. A message of another system,
or a damaged one, is read as `None`, never as an exception. A change that an older reader would
misunderstand raises `VERSION`; added fields do not.
"""
