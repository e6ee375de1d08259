"""Transactions, metrics and errors of a server for Elastic APM, by Elastic's own agent. One file each."""
