"""Papers as data: a folder of tables and a file that says what they mean."""
