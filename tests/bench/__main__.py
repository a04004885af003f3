"""Benchmarks, each against its rival in the same run: ``make bench``, or ``python -m tests.bench [NAME ...]``.

They need root, a real kernel and a quiet machine, raise ``nf_conntrack_max`` for the time they take, and put it back.
No figure here is a test: a slow machine is no defect.
"""

from __future__ import annotations

import sys

from tests.bench import attribution, look, serve

BENCHMARKS = {
    "look": look.sampled_look_against_conntrack_list,
    "million": look.sampled_look_of_a_million,
    "exact": look.exact_look_against_conntrack_list,
    "envelope": look.envelope_of_many_sources,
    "attribution": attribution.attribution_against_ipaddress,
    "card": serve.command_to_card,
    "crowd": serve.crowd,
    "rush": serve.rush,
    "rest": serve.rest,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; how many missed their aim."""
    missed = 0
    for name in names or list(BENCHMARKS):
        print(f"\n{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        for says, is_met in BENCHMARKS[name]():
            missed += not is_met
            print(f"  {'met   ' if is_met else 'MISSED'}  {says}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
