"""Contracts: from the documents of `data_contracts/<model>/` to frozen objects, row rules and expectations.

Nothing here knows Dagster, the lake or where rows come from. `folder.load_model` is the way in.
"""
