"""Expectations: rules of the contract beyond single columns, one file each."""
