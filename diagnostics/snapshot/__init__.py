"""The one door by which a probe's reports enter: dicts from a foreign machine in, a typed Snapshot out.

A report may come from a host that is broken or hostile: nothing in it is believed before it is checked, a section
that is wrong becomes Unknown with its reason, and no other section suffers. What values mean is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from diagnostics import model
from diagnostics.model import Known, Reading, Unknown
from diagnostics.snapshot import shapes

T = TypeVar("T")
NO_ANSWER = "the probe did not tell"


def snapshot(reports: Sequence[Mapping[str, Any]]) -> model.Snapshot:
    """What the reports of one look say together, in the order of the stages.

    A section is taken from the first report that has a sound one; counters are put together from all.
    """
    return model.Snapshot(
        node=_known_or(_section(reports, "node", _node), model.NodeFacts(name="")),
        stages=tuple(_stage(report) for report in reports if len(report) > 2),
        usage=_section(reports, "usage", lambda raw: _as(model.Usage, shapes.Usage, raw)),
        timeouts=_section(reports, "timeouts", _counts),
        settings=_section(reports, "settings", _counts),
        counters=_counters(reports),
        kernel_log=_section(reports, "kernel_log", _kernel_log),
        table=_section(reports, "table", _table),
        ping=_part(reports, "ping", lambda raw: _as(model.Ping, shapes.Ping, raw)),
        connects=_part(reports, "connect", lambda raw: _as(model.Connects, shapes.Connects, raw)),
        other_counters=_section(reports, "lookalikes", _other_counters),
        owners=_section(reports, "owners", _owners),
        unknown=_reasons(reports),
        left_out=_left_out(reports),
        partial=any(report.get("partial") is True for report in reports),
    )


def _stage(report: Mapping[str, Any]) -> str:
    stage = report.get("stage")
    return stage[:20] if isinstance(stage, str) else ""


def rates(snapshot: model.Snapshot) -> Reading[model.Rates]:
    """What follows from the first and the last reading of the counters, and from the growth between them."""
    if isinstance(snapshot.counters, Unknown):
        return snapshot.counters
    readings = snapshot.counters.value
    if len(readings) < 2 or readings[-1].at <= readings[0].at:
        return Unknown("the counters were read only once")
    first, last = readings[0], readings[-1]
    growth = _growth(readings[-2], last)

    def delta(name: str) -> int | None:
        if name not in first.counts or name not in last.counts:
            return None
        grown = last.counts[name] - first.counts[name]
        return grown if grown >= 0 else None  # a counter that went back was reset: nothing is known

    return Known(
        model.Rates(
            seconds=last.at - first.at,
            drops=delta("drop"),
            early_drops=delta("early_drop"),
            insert_failed=delta("insert_failed"),
            invalid=delta("invalid"),
            chaintoolong=delta("chaintoolong"),
            growth_per_second=growth,
            seconds_to_full=_seconds_to_full(snapshot.usage, growth),
        )
    )


def _growth(before: model.Counters, after: model.Counters) -> float | None:
    if before.entries is None or after.entries is None or after.at <= before.at:
        return None
    return (after.entries - before.entries) / (after.at - before.at)


def _seconds_to_full(usage: Reading[model.Usage], growth: float | None) -> float | None:
    if isinstance(usage, Unknown) or growth is None or growth <= 0 or usage.value.limit <= 0:
        return None
    return max(0, usage.value.limit - usage.value.entries) / growth


# ---- sections -------------------------------------------------------------------------------------------------------


def _section(reports: Sequence[Mapping[str, Any]], name: str, parse: Any) -> Reading[Any]:
    """The first sound section of this name, or why there is none."""
    why = ""
    for report in reports:
        if report.get(name) is not None:
            try:
                return Known(parse(report[name]))
            except (ValidationError, ValueError, TypeError, AttributeError) as error:
                why = why or f"the probe's answer is damaged: {_short(error)}"
    return Unknown(why or _why(reports, name) or NO_ANSWER)


def _part(reports: Sequence[Mapping[str, Any]], name: str, parse: Any) -> Reading[Any]:
    """The same for a part of the section "reach"."""
    parts = [{name: report["reach"].get(name)} for report in reports if isinstance(report.get("reach"), Mapping)]
    found = _section(parts, name, parse)
    if isinstance(found, Unknown) and found.why == NO_ANSWER:
        return Unknown(_why(reports, f"reach.{name}") or _why(reports, "reach") or NO_ANSWER)
    return found


def _why(reports: Sequence[Mapping[str, Any]], name: str) -> str:
    reasons = _reasons(reports)
    return reasons.get(name) or reasons.get("stage", "")


def _reasons(reports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for report in reports:
        reasons = report.get("unknown")
        if isinstance(reasons, Mapping):
            texts = [(key, why) for key, why in list(reasons.items())[:100] if isinstance(why, str)]
            found.update({str(key)[:80]: why[:1024] for key, why in texts})
    return found


def _left_out(reports: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for report in reports:
        left_out = report.get("left_out")
        if isinstance(left_out, Mapping):
            for key, count in list(left_out.items())[:100]:
                if isinstance(count, int) and count > 0:
                    found[str(key)[:80]] = found.get(str(key)[:80], 0) + min(count, 2**63)
    return found


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])[:80]}: {first['msg']}"[:300].lstrip(": ")
    return str(error)[:200] or type(error).__name__


def _known_or(reading: Reading[T], otherwise: T) -> T:
    return reading.value if isinstance(reading, Known) else otherwise


def _as(kind: type[T], section: type[shapes.Section], raw: Any) -> T:
    """A flat section as a value of the model: the names are the same."""
    fields = dict(section.model_validate(raw))
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def _node(raw: Any) -> model.NodeFacts:
    return _as(model.NodeFacts, shapes.Node, raw)


def _counts(raw: Any) -> dict[str, int]:
    """Names and whole numbers; a value that is no such number costs only itself."""
    if not isinstance(raw, Mapping):
        raise TypeError("not a mapping of names to numbers")
    return {
        str(name)[:80]: value
        for name, value in list(raw.items())[:300]
        if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value <= 2**63
    }


def _counters(reports: Sequence[Mapping[str, Any]]) -> Reading[tuple[model.Counters, ...]]:
    found: list[model.Counters] = []
    for report in reports:
        readings = report.get("counters")
        for raw in readings[:10] if isinstance(readings, list) else []:
            counts = _counts(raw) if isinstance(raw, Mapping) else {}
            at, entries = (raw.get("at") if isinstance(raw, Mapping) else None), counts.pop("entries", None)
            if isinstance(at, int | float) and 0 <= at < 1e12:
                counts.pop("at", None)
                sound = {name: count for name, count in counts.items() if count >= 0}
                found.append(model.Counters(at=float(at), entries=entries, counts=sound))
    if not found:
        return Unknown(_why(reports, "counters") or NO_ANSWER)
    return Known(tuple(sorted(found, key=lambda reading: reading.at)))


def _kernel_log(raw: Any) -> model.KernelLog:
    log = shapes.KernelLog.model_validate(raw)
    lines = tuple(model.LogLine(at=line.at, text=line.text, netns=line.netns) for line in log.lines)
    return model.KernelLog(**{**dict(log), "lines": lines})


def _ages(ages: Mapping[str, shapes.Ages]) -> dict[str, model.Ages]:
    return {
        state: model.Ages(timeout=age.timeout, bucket_seconds=age.bucket_seconds, counts=tuple(age.counts))
        for state, age in ages.items()
    }


def _targets(rows: Sequence[tuple[str, str, int, int]]) -> tuple[model.Target, ...]:
    return tuple(model.Target(*row) for row in rows)


def _table(raw: Any) -> model.Table:
    table = shapes.Table.model_validate(_with_tuples_below(raw, "sources"))
    sources = tuple(
        model.Source(**{**dict(source), "targets": _targets(source.targets), "ages": _ages(source.ages)})
        for source in table.sources
    )
    built = {"sources": sources, "ages": _ages(table.ages), "rows": tuple(table.rows)}
    built.update(destinations=_targets(table.destinations), backends=_targets(table.backends))
    return model.Table(**{**dict(table), **built})


def _with_tuples(raw: Any) -> Any:
    """JSON has no tuples: target rows become some, so that exact types can be asked for."""
    if not isinstance(raw, Mapping):
        return raw
    rows = {
        name: [tuple(row) if isinstance(row, list) else row for row in raw[name]]
        for name in ("destinations", "backends", "targets")
        if isinstance(raw.get(name), list)
    }
    return {**raw, **rows}


def _with_tuples_below(raw: Any, name: str) -> Any:
    """The same for each element of a list too. One level and no more: a host may nest them until Python gives up."""
    raw = _with_tuples(raw)
    if not isinstance(raw, Mapping) or not isinstance(raw.get(name), list):
        return raw
    return {**raw, name: [_with_tuples(one) for one in raw[name]]}


def _other_counters(raw: Any) -> model.OtherCounters:
    if not isinstance(raw, Mapping):
        raise TypeError("not a mapping of groups")
    seconds = raw.get("seconds", 0.0)
    groups: dict[str, dict[str, model.Change | float]] = {}
    for name, counters in list(raw.items())[:100]:
        if isinstance(counters, Mapping):
            read = {str(key)[:80]: _change(value) for key, value in list(counters.items())[:100]}
            groups[str(name)[:80]] = {key: value for key, value in read.items() if value is not None}
    return model.OtherCounters(seconds=float(seconds) if _is_number(seconds) else 0.0, groups=groups)


def _change(value: Any) -> model.Change | float | None:
    if isinstance(value, list):
        if len(value) == 2 and all(_is_number(part) and isinstance(part, int) for part in value):
            return model.Change(before=value[0], after=value[1])
        return None
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -(2**63) <= value <= 2**63


def _owners(raw: Any) -> model.Owners:
    owners = shapes.Owners.model_validate(_with_tuples_below(raw, "sockets"))
    return model.Owners(
        sockets=tuple(
            model.SocketOwner(**{**dict(owner), "targets": _targets(owner.targets)}) for owner in owners.sockets
        ),
        sockets_other=owners.sockets_other,
        namespaces=tuple(model.OtherNamespace(**dict(space)) for space in owners.namespaces),
    )
