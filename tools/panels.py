"""The few kinds of Grafana panels that our dashboards have, made with Grafana's own library."""

from dataclasses import dataclass, field
from typing import TypeVar

from grafana_foundation_sdk.builders import common, dashboard, gauge, piechart, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import piechart as pie_models
from grafana_foundation_sdk.models import prometheus as prometheus_models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED = "green", "yellow", "red"

Builder = builder.Builder[models.Panel]
P = TypeVar("P", stat.Panel, gauge.Panel, timeseries.Panel, table.Panel, piechart.Panel)


@dataclass(frozen=True, slots=True)
class Look:
    """What every kind of panel has."""

    title: str
    says: str
    """What is shown, and what to make of it."""
    unit: str = "short"
    """Grafana's name of the unit: short, s, percentunit, ops."""
    width: int = 8
    """Of the 24 columns of a dashboard."""
    height: int = 8
    steps: tuple[tuple[float, str], ...] = field(default=())
    """(limit, colour) above green, from the lowest limit."""
    below: str = GREEN
    """The colour below the first step."""


def over_time(look: Look, *queries: tuple[str, str]) -> Builder:
    """Lines; each query is (expression, legend)."""
    legend = common.VizLegendOptions().show_legend(show_legend=True)
    legend.display_mode(common_models.LegendDisplayMode.LIST).placement(common_models.LegendPlacement.BOTTOM)
    panel = _looking(timeseries.Panel(), look).fill_opacity(10).min(0).legend(legend)
    return panel.targets([_query(expression, text, place) for place, (expression, text) in enumerate(queries)])


def number(look: Look, expression: str, legend: str = "") -> Builder:
    """The present number, or one for each series."""
    panel = _looking(stat.Panel(), look).reduce_options(_last()).graph_mode(common_models.BigValueGraphMode.NONE)
    return panel.color_mode(common_models.BigValueColorMode.VALUE).targets([_instant(expression, legend)])


def dial(look: Look, expression: str) -> Builder:
    """The present number between zero and its limits."""
    panel = _looking(gauge.Panel(), look).reduce_options(_last()).min(0)
    return panel.show_threshold_markers(show_threshold_markers=True).targets([_instant(expression)])


def pie(look: Look, expression: str, legend: str, *, link: str, link_title: str) -> Builder:
    """Shares; a click on one follows the link."""
    labels = [pie_models.PieChartLabels.NAME, pie_models.PieChartLabels.VALUE]
    panel = _looking(piechart.Panel(), look).reduce_options(_last()).display_labels(labels)
    panel.data_links([dashboard.DashboardLink(link_title).url(link)])
    return panel.targets([_instant(expression, legend)])


def rows(look: Look, expression: str, *, names: dict[str, str]) -> Builder:
    """A table with a row for each series; `names` are the headings of its labels and of `Value`."""
    hidden = {"Time": True}
    organize = models.DataTransformerConfig(
        id_val="organize", options={"excludeByName": hidden, "renameByName": names, "indexByName": {}}
    )
    query = _instant(expression).format(prometheus_models.PromQueryFormat.TABLE)
    return _looking(table.Panel(), look).show_header(show_header=True).with_transformation(organize).targets([query])


def _looking(panel: P, look: Look) -> P:
    panel.title(look.title).description(look.says).datasource(SOURCE).unit(look.unit)
    steps = [models.Threshold(color=look.below), *(models.Threshold(limit, colour) for limit, colour in look.steps)]
    mode = models.ThresholdsMode.ABSOLUTE
    return panel.thresholds(dashboard.ThresholdsConfig().mode(mode).steps(steps)).span(look.width).height(look.height)


def _query(expression: str, legend: str, place: int) -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(SOURCE).expr(expression).ref_id(chr(ord("A") + place))
    return query.legend_format(legend).range()


def _instant(expression: str, legend: str = "") -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(SOURCE).expr(expression).ref_id("A").instant()
    return query.legend_format(legend) if legend else query


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
