"""The contract suite by subject; `testing.contract.StoreContract` is all of it."""
