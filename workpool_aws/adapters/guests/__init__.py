"""Actions on items of users' tables: values, conditions and updates as DynamoDB takes them."""
