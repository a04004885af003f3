"""Takes up incidents that wait, has the node looked at, writes down what came of it, and has it told.

The answer is in the store before it is told. It must not know ways to a node, nor how the answer is worded in the chat.
"""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from bot import report as words
from bot.config import ServeSettings
from bot.model import Incident, Look, Place, State
from bot.report import Picture, Report
from bot.store import Store, pack
from bot.workflow.hold import Hold, LostError, StoppedError, TooLongError
from bot.workflow.seams import Errand, Nodes, Progress, Voice
from diagnostics.errors import DiagnosticsError
from diagnostics.model import Diagnosis, VerdictKind

ATTEMPTS = 2  # a look that kills the program twice would do so for ever
FRESH_SECONDS = 120.0  # who asked longer ago than this is told that it was interrupted, instead of a late surprise
SAYS_EVERY_SECONDS = 0.5
LARGEST_RECORDING_BYTES = 16 * 1024 * 1024
WELL = (VerdictKind.HEALTHY, VerdictKind.RECOVERED)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Looker:
    """One for all the looker's workers. ``order`` is the desk's; ``stop`` ends the looks that go on.

    ``give_way`` is the workflow's.
    """

    store: Store
    nodes: Nodes
    voice: Voice
    settings: ServeSettings
    look_seconds: float
    order: threading.Lock
    stop: threading.Event
    give_way: Callable[[], None] = lambda: None

    def look_next(self, worker: str) -> bool:
        """Look at the node that waits longest. False where none does."""
        with self.order:
            incident = self.store.claim(worker, self.settings.lease_seconds, time.time())
        if incident is None:
            return False
        if _is_given_up(incident, time.time()):
            says = "The program that looked at the node ended in the middle of it."
            self._end(worker, incident, _without(incident, State.INTERRUPTED, time.time(), says))
            return True
        self._look(worker, incident)
        return True

    def tell_untold(self, _worker: str) -> bool:
        """Tell what a death or a failure left untold; repeating what was told already says it once.

        A look that was followed by another is not told any more: the card would show the older one.
        """
        for look in self.store.untold(time.time()):
            try:
                self._tell_late(look)
            except Exception:
                # It is tried again with the next round; the others must not wait until it succeeds.
                log.exception("look not told", incident=look.incident, look=look.number)
        return False

    def _tell_late(self, look: Look) -> None:
        incident = self.store.incident(look.incident)
        if incident is not None and incident.looks == look.number and not incident.state.is_on_its_way:
            self._tell(incident, look)
        else:
            self.store.told(look.incident, look.number)

    def _look(self, worker: str, incident: Incident) -> None:
        hold = Hold(
            self.store,
            incident.id,
            worker,
            lease_seconds=self.settings.lease_seconds,
            look_seconds=self.look_seconds,
            stop=self.stop,
        )
        with hold:
            try:
                look = self._looked(incident, hold)
            except LostError:
                log.warning("look lost", incident=incident.name)
                return
        self._end(worker, incident, look)

    def _looked(self, incident: Incident, hold: Hold) -> Look:
        """What came of the look, whatever came. Raises LostError where it is somebody else's by now."""
        began = time.time()
        try:
            return self._diagnosed(incident, hold, began)
        except LostError:
            raise
        except StoppedError:
            says = "I was stopped while I looked."
            return _without(incident, State.INTERRUPTED, began, says)
        except TooLongError:
            says = f"The look took longer than {self.look_seconds:.0f} s and was given up."
            return _without(incident, State.NOT_SEEN, began, says)
        except DiagnosticsError as error:
            return _without(incident, State.NOT_SEEN, began, str(error))
        except Exception:
            failure = uuid.uuid4().hex[:8]
            log.exception("look broke", failure=failure, incident=incident.name)
            says = f"Something broke on my side (id {failure}). My log has the rest under this id."
            return _without(incident, State.NOT_SEEN, began, says)

    def _diagnosed(self, incident: Incident, hold: Hold, began: float) -> Look:
        teller = _Teller(self.voice, incident, hold, self.give_way)
        with tempfile.TemporaryDirectory(prefix="conntrack-look-") as folder:
            record_to = Path(folder) / "recording"
            errand = _errand(incident, record_to)
            teller.begin()
            diagnosis = self.nodes.look(errand, teller.tell, teller.first)
            recording = _packed(record_to, incident)
        return Look(
            incident=incident.id,
            number=incident.looks,
            state=State.DIAGNOSED,
            started_at=began,
            ended_at=time.time(),
            report=words.report(diagnosis),
            picture=_picture(diagnosis, incident),
            document=words.to_json(diagnosis),
            recording=recording,
        )

    def _end(self, worker: str, incident: Incident, look: Look) -> None:
        is_well = look.report is not None and look.report.kind in WELL
        finished = self.store.finish(look, worker, is_open=not is_well)
        if finished is None:
            log.warning("look lost", incident=incident.name)
            return
        seconds = round(look.ended_at - look.started_at, 3)
        log.info("looked", incident=incident.name, node=incident.node, state=look.state.value, seconds=seconds)
        self._tell(finished, look)

    def _tell(self, incident: Incident, look: Look) -> None:
        looks = self.store.looks(incident.id)
        earlier = max((one for one in looks if one.number < look.number), key=lambda one: one.number, default=None)
        try:
            self.voice.ended(incident, look, earlier)
        except Exception:
            # The card would say for ever that the node is being looked at: then better that the words are missing.
            failure = uuid.uuid4().hex[:8]
            log.exception("answer broke", failure=failure, incident=incident.name)
            says = f"Something broke on my side while I wrote the answer (id {failure}). `conntrack-bot show "
            says += f"{incident.name}` in a terminal has it."
            wordless = replace(look, state=State.NOT_SEEN, report=None, picture=None, why=says)
            self.voice.ended(incident, wordless, earlier)
        self.store.told(look.incident, look.number)


class _Teller:
    """Says how far the look is: what is new, but not more often than people read; the first verdict at once.

    Called from the look's own thread only. What it raises ends the look.
    """

    def __init__(self, voice: Voice, incident: Incident, hold: Hold, give_way: Callable[[], None]) -> None:
        self._give_way = give_way
        self._voice, self._incident, self._hold = voice, incident, hold
        self._began = time.monotonic()
        self._said_at = 0.0
        self._says = ""
        self._is_new = True
        self._report: Report | None = None

    def begin(self) -> None:
        """The look begins."""
        self._hold.check()
        self._say()

    def tell(self, says: str) -> None:
        """Hear of progress; as every ``Tell``, often with nothing new."""
        self._give_way()
        self._hold.check()
        if says:
            self._says, self._is_new = says, True
        if self._is_new and time.monotonic() - self._said_at >= SAYS_EVERY_SECONDS:
            self._say()

    def first(self, diagnosis: Diagnosis) -> None:
        """Hear what the first report alone says."""
        self._hold.check()
        self._report = words.report(diagnosis)
        self._say()

    def _say(self) -> None:
        self._said_at, self._is_new = time.monotonic(), False
        self._voice.looking(self._incident, Progress(self._says, time.monotonic() - self._began, self._report))


def _errand(incident: Incident, record_to: Path) -> Errand:
    return Errand(
        Place(incident.cluster, incident.node, incident.note),
        exact=incident.exact,
        deep=incident.deep,
        record_to=record_to,
        incident=incident.name,
        requested_by=incident.asked_by.id,
        takes_over=incident.attempts > 1,
    )


def _is_given_up(incident: Incident, now: float) -> bool:
    """Whether a look that died is not taken up again. One that only waited long is begun: nobody was told anything."""
    return incident.attempts > ATTEMPTS or (incident.attempts > 1 and now - incident.asked_at > FRESH_SECONDS)


def _without(incident: Incident, state: State, began: float, why: str) -> Look:
    """A look that saw nothing."""
    return Look(incident.id, incident.looks, state, started_at=began, ended_at=time.time(), why=why)


def _picture(diagnosis: Diagnosis, incident: Incident) -> Picture | None:
    """What the chart shows. It is a bonus: a defect in it must not cost the answer."""
    try:
        return words.picture(diagnosis)
    except Exception:
        log.exception("picture broke", incident=incident.name)
        return None


def _packed(folder: Path, incident: Incident) -> bytes:
    """The recording; b"" where none could be written, or where it is too large to keep."""
    packed = pack(folder) if folder.is_dir() else b""
    if len(packed) > LARGEST_RECORDING_BYTES:
        log.warning("recording not kept", incident=incident.name, size_bytes=len(packed))
        return b""
    return packed
