"""FLOOR 1: where rows are scanned and joined. Arrow tables in, Arrow tables out; owns no storage."""
