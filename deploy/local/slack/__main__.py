"""``python -m deploy.local.slack``: the local Slack alone, until it is stopped."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from deploy.local.slack.running import serve
from deploy.local.slack.service import Service


async def _until_stopped(service: Service, port: int) -> None:
    runner = await serve(service, port)
    stopped = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    print(f"{service.url}/ is the page, {service.url}/api/ its Web API.", flush=True)  # noqa: T201 - its answer
    await stopped.wait()
    await runner.cleanup()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.slack", description="A local Slack.")
    parser.add_argument("--port", type=int, default=4040, help="of this machine's loopback; 4040")
    parser.add_argument("--journal", type=Path, help="a file for every call and delivery, one JSON object a line")
    parser.add_argument("--no-rate-limits", action="store_true", help="take calls as fast as they come")
    said = parser.parse_args()
    asyncio.run(_until_stopped(Service(journal=said.journal, limits_rates=not said.no_rate_limits), said.port))


if __name__ == "__main__":
    main()
