"""The detectors and watchers, and what each kind has in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.spec import Spec
    from bessemer.monitor.alerts.notice import Notice
    from bessemer.monitor.finding import Kind, Test
    from bessemer.monitor.reference import Reference
    from bessemer.monitor.sinks.settings import SinkSettings
    from bessemer.monitor.watching.watched import Said, Watched
    from bessemer.monitor.window import Window


class Detector(Protocol):
    """Compares a window with the reference, column by column.

    One that reads more than sketches of columns says in `reads` what (see `joint.PARTS`): it is made for those who ask.
    """

    kind: ClassVar[Kind]

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        """A test for each column that it applies to, whatever comes out: what is found is decided over all of them."""


class Watcher(Protocol):
    """Looks at the rows of a prediction log, window after window, and may remember what it has seen.

    again: whether it also looks at a window again when labels may have come. Settings: what the project file may say.
    One that has `empty = True` is also shown windows without rows. One that has `check(model, reference)` is asked
    before it watches a package: it raises UsageError where its settings name what the package does not have.
    """

    kind: ClassVar[Kind]
    again: ClassVar[bool]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def watch(self, watched: Watched) -> Said:
        """What it says of a window. It must not change anything: a kill may make it look at a window twice."""


class Sink(Protocol):
    """Where notices go. Each is delivered at least once, in the order in which they were made; `Notice.id` tells two.

    Settings: a `SinkSettings`: whoever wants every window too has another default of `send`. The constructor reads
    secrets from the environment and opens nothing; a sink is used by one thread.
    """

    Settings: ClassVar[type[SinkSettings]]

    def __init__(self, settings: Any) -> None: ...

    def send(self, notices: Sequence[Notice]) -> None:
        """Deliver all of them, within `timeout`; when it returns, the receiver has them.

        Raises:
            SinkFault: it has not all of them: all will be sent again.
        """


DETECTORS: PluginTable[Detector] = PluginTable(
    "bessemer.detectors",
    {
        "schema": PluginRef(
            "bessemer.monitor.detectors.schema:Schema",
            summary="columns that are absent, and values that are not of their column's type",
        ),
        "missing": PluginRef(
            "bessemer.monitor.detectors.missing:Missing", summary="more or fewer missing values than before"
        ),
        "unseen": PluginRef(
            "bessemer.monitor.detectors.unseen:Unseen", summary="texts that training did not have"
        ),
        "range": PluginRef(
            "bessemer.monitor.detectors.range:Range", summary="numbers outside the range of training"
        ),
        "contract": PluginRef(
            "bessemer.monitor.detectors.contract:Contract",
            summary="rows that break the data contract in the package",
        ),
        "chi_square": PluginRef(
            "bessemer.monitor.detectors.chi_square:ChiSquare",
            summary="the shares of values, or of groups of numbers",
        ),
        "kolmogorov_smirnov": PluginRef(
            "bessemer.monitor.detectors.kolmogorov_smirnov:KolmogorovSmirnov",
            summary="the greatest distance of the cumulative distributions of numbers",
        ),
        "correlation": PluginRef(
            "bessemer.monitor.detectors.correlation:Correlation",
            summary="pairs of numbers that go together otherwise than before",
        ),
        "psi": PluginRef(
            "bessemer.monitor.detectors.psi:Psi",
            summary="the population stability index, its bias taken off",
        ),
        "jensen_shannon": PluginRef(
            "bessemer.monitor.detectors.jensen_shannon:JensenShannon",
            summary="the Jensen-Shannon distance",
        ),
        "wasserstein": PluginRef(
            "bessemer.monitor.detectors.wasserstein:Wasserstein",
            summary="how far numbers have moved, in standard deviations",
        ),
        "mmd": PluginRef(
            "bessemer.monitor.detectors.mmd:Mmd", summary="rows that are otherwise as a whole, in any way"
        ),
        "reconstruction": PluginRef(
            "bessemer.monitor.detectors.reconstruction:Reconstruction",
            summary="rows that do not follow from few directions as they used to",
        ),
        "domain_classifier": PluginRef(
            "bessemer.monitor.detectors.domain_classifier:DomainClassifier",
            summary="whether a classifier can tell rows from training rows, and by which columns",
        ),
        "text": PluginRef(
            "bessemer.monitor.detectors.text:Text", summary="texts that are made of other words"
        ),
    },
)


def parts_read(detectors: Sequence[str]) -> frozenset[str]:
    """What detectors read beyond the sketches of columns (see `joint.PARTS`)."""
    return frozenset(part for name in detectors for part in getattr(DETECTORS.load(name), "reads", ()))


#: What is watched without being asked for: tests of the whole distribution of a column, and what they cannot see.
USUAL = (
    "schema",
    "missing",
    "unseen",
    "range",
    "contract",
    "chi_square",
    "kolmogorov_smirnov",
    "correlation",
    "mmd",
)

WATCHERS: PluginTable[Watcher] = PluginTable(
    "bessemer.watchers",
    {
        "cusum": PluginRef(
            "bessemer.monitor.watchers.cusum:Cusum",
            summary="errors that come more often than on the test rows, as soon as that can be known",
        ),
        "relation": PluginRef(
            "bessemer.monitor.watchers.relation:Relation",
            summary="whether errors are more because rows have changed, or because their labels have",
        ),
        "adwin": PluginRef(
            "bessemer.monitor.watchers.adwin:Adwin",
            extra="river",
            requires=("river",),
            summary="a rise of the error rate against its own past, by adaptive windowing",
        ),
        "ddm": PluginRef(
            "bessemer.monitor.watchers.ddm:Ddm",
            extra="river",
            requires=("river",),
            summary="the same, by the drift detection method",
        ),
        "hddm": PluginRef(
            "bessemer.monitor.watchers.hddm:Hddm",
            extra="river",
            requires=("river",),
            summary="the same, by Hoeffding's bound on means",
        ),
        "page_hinkley": PluginRef(
            "bessemer.monitor.watchers.page_hinkley:PageHinkley",
            extra="river",
            requires=("river",),
            summary="the same, by the test of Page and Hinkley",
        ),
        "volume": PluginRef(
            "bessemer.monitor.watchers.volume:Volume",
            summary="rows an hour, against the same hour of the week before",
        ),
        "staleness": PluginRef(
            "bessemer.monitor.watchers.staleness:Staleness",
            summary="a log that stopped, labels that no longer come, inputs whose newest time grows old",
        ),
        "duplicates": PluginRef(
            "bessemer.monitor.watchers.duplicates:Duplicates",
            summary="rows that are asked again, and predictions that share an id",
        ),
        "slices": PluginRef(
            "bessemer.monitor.watchers.slices:Slices",
            summary="slices in which the model has become worse, measured and estimated",
        ),
        "calibration": PluginRef(
            "bessemer.monitor.watchers.calibration:Calibration",
            summary="what happens moving away from what is said",
        ),
        "fairness": PluginRef(
            "bessemer.monitor.watchers.fairness:Fairness",
            summary="gaps between groups that open or close",
        ),
        "skew": PluginRef(
            "bessemer.monitor.watchers.skew:Skew",
            summary="logged rows of which the package says something else than the server",
        ),
        "nan": PluginRef("bessemer.monitor.watchers.nan:Nan", summary="outputs that are not finite"),
        "age": PluginRef(
            "bessemer.monitor.watchers.age:Age",
            summary="an old package, old data, libraries that are not those it was made with",
        ),
        "speed": PluginRef(
            "bessemer.monitor.watchers.speed:Speed", summary="a version that is slower than the one before"
        ),
        "outliers": PluginRef(
            "bessemer.monitor.watchers.outliers:Outliers",
            summary="more rows than before that are unusual as a whole, and the columns that make them so",
        ),
        "near_queries": PluginRef(
            "bessemer.monitor.watchers.near_queries:NearQueries",
            summary="clients whose queries lie close to their own before",
        ),
        "uniform_queries": PluginRef(
            "bessemer.monitor.watchers.uniform_queries:UniformQueries",
            summary="clients whose rows go together as nobody's do",
        ),
        "fingerprints": PluginRef(
            "bessemer.monitor.watchers.fingerprints:Fingerprints",
            summary="rows that are nearly the same as others', whoever asked those",
        ),
        "feedback": PluginRef(
            "bessemer.monitor.watchers.feedback:FeedbackLabels",
            summary="clients whose labels are less likely than others'",
        ),
        "slo": PluginRef(
            "bessemer.monitor.watchers.slo:Slo", summary="error budgets that are spent too fast"
        ),
        "errors": PluginRef(
            "bessemer.monitor.watchers.errors:Errors", summary="requests that failed or came too late"
        ),
        "latency": PluginRef("bessemer.monitor.watchers.latency:Latency", summary="how long answers take"),
        "throughput": PluginRef(
            "bessemer.monitor.watchers.throughput:Throughput", summary="requests a second"
        ),
        "resources": PluginRef(
            "bessemer.monitor.watchers.resources:Resources",
            summary="CPU a row, memory, time in the queue, starts",
        ),
        "cost": PluginRef("bessemer.monitor.watchers.cost:Cost", summary="what predictions cost"),
    },
)

#: Watched in a prediction log without being asked for.
USUAL_WATCHERS: tuple[str, ...] = (
    "volume",
    "staleness",
    "duplicates",
    "nan",
    "skew",
    "age",
    "outliers",
    "slo",
    "errors",
    "cusum",
    "relation",
)

#: Where notices go; see the table in docs/alerts.md.
SINKS: PluginTable[Sink] = PluginTable(
    "bessemer.monitor_sinks",
    {
        "console": PluginRef(
            "bessemer.monitor.sinks.console:Console", summary="the error stream, for people or as JSON"
        ),
        "file": PluginRef("bessemer.monitor.sinks.file:File", summary="a file of JSON lines"),
        "webhook": PluginRef(
            "bessemer.monitor.sinks.webhook:Webhook",
            summary="JSON by POST, signed (Standard Webhooks), or CloudEvents",
        ),
        "slack": PluginRef(
            "bessemer.monitor.sinks.slack:Slack", summary="Slack's incoming webhooks, and Mattermost's"
        ),
        "email": PluginRef("bessemer.monitor.sinks.email:Email", summary="mail over SMTP"),
        "pagerduty": PluginRef(
            "bessemer.monitor.sinks.pagerduty:PagerDuty", summary="incidents by the Events API v2"
        ),
        "alertmanager": PluginRef(
            "bessemer.monitor.sinks.alertmanager:Alertmanager", summary="Prometheus' Alertmanager"
        ),
        "kafka": PluginRef(
            "bessemer.monitor.sinks.kafka:Kafka",
            extra="kafka",
            requires=("confluent_kafka",),
            summary="a topic of Kafka",
        ),
        "elasticsearch": PluginRef(
            "bessemer.monitor.sinks.elasticsearch:Elasticsearch",
            extra="elastic",
            requires=("elasticsearch",),
            summary="indices of Elasticsearch, for Kibana",
        ),
    },
)
