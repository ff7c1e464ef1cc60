"""Copies of the vault: files elsewhere that are known to open.

`places` knows where they lie, `making` adds one, `verifying` opens one, `retention` says which are to go, `pruning`
removes them, and `catalogue` remembers what was seen of each.
"""
