"""The program that runs on the node: reads, and changes nothing.

Standard library only, Python 3.7 or newer, and no import from outside this folder: it runs in the bot's image, or is
sent through SSH to whatever Python the host has. The rest of the project imports ``envelope``; and ``transport.shell``,
whose script stands in for the probe where a host has no Python, the parsers of what both read.

    python3 -m diagnostics.probe STAGE [OPTION ...]

A STAGE is one process with one answer: ``look`` (instant facts and the table), ``watch`` (rates over some seconds,
ping, new connections, counters of look-alikes), ``deep`` (sockets of the node itself, tables of pods' own
network namespaces). Each answers with one report, packed by ``envelope``.

The report, format 1. Every section is optional: one that could not be read is missing, and ``unknown`` says why.
Times are seconds, sizes bytes, ``at`` is seconds since boot (``/proc/uptime``).

    format      1
    stage       "look" | "watch" | "deep"
    node        {name, kernel, boot_id, uptime, time (Unix), cpus, netns (inode) | null, init_netns true|false|null,
                 addresses [the node's own], gateway | null}
    usage       {entries, limit, buckets | null, entry_bytes | null, memory_total, memory_available}
    timeouts    {tcp_time_wait: 120, tcp_established: …, udp: 30, udp_stream: 120, icmp: 30, …}: the sysctls
                nf_conntrack_*timeout*, without "nf_conntrack_" and "timeout_"
    settings    {acct, tcp_loose, tcp_be_liberal, log_invalid, …}: the other nf_conntrack_* sysctls that are numbers
    counters    [{at, entries, drop, early_drop, insert_failed, invalid, search_restart, clash_resolve, chaintoolong,
                 found, insert, per_cpu: {drop: [..], early_drop: [..]}}, …] sums over CPUs; a name that this kernel
                 does not count is missing; oldest first, at least two where there was time
    kernel_log  {lines: [{at, netns (inode) | null, text}, … newest last, at most 5], table_full: how many such lines of
                 the node's own namespace, other_netns: how many of other ones, suppressed: callbacks suppressed in all,
                 last_at | null (newest table-full line of the node's own namespace), first_at (oldest line in the
                 buffer: what is older is not known), related: {neighbour: n, tcp_memory: n, syn_flooding: n}}
    table       see ``table.py``
    reach       {ping: {address, what, sent, answered, seconds: [round trips], failed: {errno name or "timeout": n}},
                 connect: {address, port, what, attempts, connected, seconds: [of each success],
                           failed: {"timeout": n, "refused": n, errno name: n}, retransmitted: n}}
    lookalikes  {seconds (between the two readings), name: {counter: [before, after] | gauge: number}, …}: see
                ``lookalikes.py`` for the names and counters
    owners      see ``owners.py``
    unknown     {section, or "section.part": why, in a few words}
    left_out    {what: how many}: dropped to stay within the byte budget
    partial     true where a deadline or a signal ended the stage early, absent otherwise
    seconds     how long the stage took
"""
