"""Picture to PNG: who holds the table, and what was opened lately. To be read on a phone at three in the morning.

Nearly square, since chats show pictures small: two panels, one above the other, in large letters. It must not know what
the numbers mean, nor where the picture goes.
"""

from __future__ import annotations

import io
import math
import threading
from typing import TYPE_CHECKING, Any

from bot.report import Picture
from diagnostics.runbook.words import count, filled, percent, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES, DOTS_PER_INCH = 6.0, 200  # 1,200 dots wide
PAPER, INK, FAINT, GRID = "#ffffff", "#1d1c1d", "#616061", "#e3e3e3"  # Solid: a chat may be dark or light around it.
CULPRIT, OTHERS, FLOW = "#c8102e", "#8b96a3", "#1f6feb"
LONGEST_LABEL = 52
TITLE, TEXT, SMALL = 15, 12.5, 11
SHOWN_HOLDERS = 7
FEW = 4  # More of them stand closer together.
STRIKING = 0.5  # Who holds more than half of the table is drawn in the culprit's colour.
# A figure is its own, but all figures share one cache of fonts, and FreeType is not made for several threads.
DRAWING = threading.Lock()


def draw(picture: Picture) -> bytes:
    """The picture as a PNG."""
    from matplotlib import rc_context  # noqa: PLC0415 - half a second: only who draws pays for it

    with DRAWING, rc_context({"text.parse_math": False, "font.family": "DejaVu Sans"}):
        return _drawn(picture)


def described(picture: Picture) -> str:
    """The picture for those who do not see it."""
    holders = ", ".join(f"{label} {percent(share)}" for label, share in picture.holders[:SHOWN_HOLDERS])
    said = f"{_title(picture)}. Held by: {holders}."
    if picture.opened:
        whose = f" by {picture.whose}" if picture.whose else ""
        said += f" {_what(picture)}{whose}, in the last {_window(picture)}:"
        said += f" at most {_rate(max(picture.opened))}, {_rate(picture.opened[-1])} now."
    return said


# ---- the figure -----------------------------------------------------------------------------------------------------


def _drawn(picture: Picture) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - see above
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 - see above

    bars = max(1, len(picture.holders[:SHOWN_HOLDERS]))
    heights = [0.6 + (0.62 if bars <= FEW else 0.5) * bars, *([2.6] if picture.opened else [])]
    figure = Figure(
        figsize=(WIDTH_INCHES, 0.8 + sum(heights)),
        dpi=DOTS_PER_INCH,
        facecolor=PAPER,
        layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.16),
    )
    FigureCanvasAgg(figure)
    figure.suptitle(_legible(_title(picture)), fontsize=TITLE, color=INK, fontweight="bold", x=0.03, ha="left")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)
    _holders(panels[0][0], picture)
    if picture.opened:
        _opened(panels[1][0], picture)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png", facecolor=PAPER)
    return written.getvalue()


def _title(picture: Picture) -> str:
    fill = f"{percent(picture.entries / picture.limit)} full" if picture.limit > 0 else "no limit known"
    return f"{_short(picture.node)}: {filled(picture.entries, picture.limit)}, {fill}"


def _holders(axes: Axes, picture: Picture) -> None:
    """Bars with their names above them: a long name needs the whole width."""
    shown = picture.holders[:SHOWN_HOLDERS]
    axes.set_title("Who holds the table", fontsize=TEXT, color=FAINT, loc="left")
    for row, (label, share) in enumerate(shown):
        colour = CULPRIT if row == 0 and share >= STRIKING else OTHERS
        axes.barh(row, 1.0, height=0.34, color=GRID)
        axes.barh(row, max(_finite(share), 0.004), height=0.34, color=colour)
        axes.text(0, row - 0.27, _legible(_short(label)), fontsize=SMALL, color=INK, va="bottom")
        axes.text(1.0, row - 0.27, percent(share), fontsize=TEXT, color=INK, fontweight="bold", va="bottom", ha="right")
    axes.set(xlim=(0, 1), ylim=(max(1, len(shown)) - 0.65, -0.85), xticks=[], yticks=[])
    _bare(axes)


def _opened(axes: Axes, picture: Picture) -> None:
    """Steps of time up to now, each as high as its rate."""
    rates, step = [_finite(rate) for rate in picture.opened], _finite(picture.step_seconds) or 1.0
    starts = [-step * (len(rates) - number) for number in range(len(rates))]
    axes.set_title(_legible(_what(picture)), fontsize=TEXT, color=FAINT, loc="left", pad=26)
    axes.text(
        0, 1.02, _legible(_short(picture.whose)), fontsize=SMALL, color=INK, va="bottom", transform=axes.transAxes
    )
    axes.bar(starts, rates, width=step * 0.9, align="edge", color=FLOW)
    highest = max(rates, default=0.0)
    axes.set(xlim=(starts[0], 0), ylim=(0, highest * 1.22 or 1.0))
    axes.set_xticks([starts[0], starts[0] / 2, 0], [f"{span(-starts[0])} ago", f"{span(-starts[0] / 2)} ago", "now"])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    peak = rates.index(highest) if rates else 0
    axes.text(starts[peak] + step * 0.45, highest, _rate(highest), fontsize=TEXT, color=INK, va="bottom", ha="center")
    axes.set_yticks([])
    axes.tick_params(labelsize=SMALL, colors=FAINT, length=0)
    _bare(axes)
    axes.axhline(0, color=FAINT, linewidth=1.5)


def _bare(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)


def _what(picture: Picture) -> str:
    return f"{picture.what[:1].upper()}{picture.what[1:]} a second"


def _window(picture: Picture) -> str:
    return span(picture.step_seconds * len(picture.opened))


# ---- text -----------------------------------------------------------------------------------------------------------


def _rate(rate: float) -> str:
    return count(rate) if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _short(label: str) -> str:
    """A long name by its beginning and its end: pods of one Deployment differ in the end."""
    if len(label) <= LONGEST_LABEL:
        return label
    half = LONGEST_LABEL // 2
    return f"{label[:half]}…{label[1 - half :]}"


def _legible(label: str) -> str:
    """The text with a box for each letter that the font lacks; matplotlib would warn of each."""
    font = _font()
    return "".join(letter if font.get_char_index(ord(letter)) else "□" for letter in label)


def _font() -> Any:
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415 - see above

    return get_font(findfont(FontProperties(family="DejaVu Sans")))


def _finite(number: float) -> float:
    return min(max(0.0, number), 1e12) if math.isfinite(number) else 0.0
