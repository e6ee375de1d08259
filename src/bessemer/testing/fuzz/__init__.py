"""Requests that no client means to send: the server must answer or refuse each of them, and never fail.

fuzzer = Fuzzer(repository(dialects=["plain", "my_dialect"]), seed=7)
report = fuzzer.run(10_000)
assert not report.failures, report.failures
"""

from bessemer.testing.fuzz.run import Failure, Fuzzer, Report

__all__ = ["Failure", "Fuzzer", "Report"]
