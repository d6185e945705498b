"""Items: how records are spelled in the table, and what they cost. Both stores use it."""
