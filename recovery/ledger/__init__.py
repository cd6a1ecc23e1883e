"""The manager's ledger: the SQL database with one row for each dead letter. Imports `worker.core` only; SQL is imported here only.

    from recovery.ledger.ledger import open_ledger

ledger       the Ledger, and how it is opened          rows        the values that go in and out
selection    which dead letters: the query language    errors      what is raised
address, database, migrating, migrations/              the database: its URL, transactions, errors, schema
schema, codec, counters, texts, bigrams                the tables, and how a row stands in them
intake, changes, leases                                writing
plans, refusals, operations, operation_items, execution, answers
                                                       what is to be done with many dead letters, and what was answered
search, pages, groups, statistics, lookups             reading
"""
