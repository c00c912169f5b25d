//! The tests of the benchmark.

/// What a test measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU per message, and messages per second.
    Throughput,
    /// CPU per message, and the time a message takes.
    Latency,
    /// Heap and threads.
    Memory,
    /// Allocations per message.
    Allocations,
    /// CPU per connection, and the time it takes.
    Connect,
}

pub struct Test {
    pub name: &'static str,
    pub what: &'static str,
    pub mode: &'static str,
    pub kind: Kind,
    pub tls: bool,
    /// Arguments of `bench.h`.
    pub arguments: &'static [(&'static str, u64)],
    /// The result does not vary, so one run is enough.
    pub is_exact: bool,
}

const fn test(
    name: &'static str,
    what: &'static str,
    mode: &'static str,
    kind: Kind,
    arguments: &'static [(&'static str, u64)],
) -> Test {
    let is_exact = matches!(kind, Kind::Memory | Kind::Allocations);
    Test { name, what, mode, kind, tls: false, arguments, is_exact }
}

const fn over_tls(test: Test) -> Test {
    Test { tls: true, ..test }
}

const MIB8: u64 = 8 << 20;

pub fn all() -> Vec<Test> {
    use Kind::{Allocations, Connect, Latency, Memory, Throughput};
    vec![
        test("echo", "128 B there and back", "echo", Latency, &[("count", 20_000), ("warm", 1000)]),
        over_tls(test(
            "echo-tls",
            "the same over TLS",
            "echo",
            Latency,
            &[("count", 15_000), ("warm", 1000)],
        )),
        test("recv-128", "receive 128 B", "recv", Throughput, &[("count", 2_000_000)]),
        test("recv-1k", "receive 1 KiB", "recv", Throughput, &[("size", 1024), ("count", 600_000)]),
        test("recv-64k", "receive 64 KiB", "recv", Throughput, &[("size", 65536), ("count", 15_000)]),
        test("recv-8m", "receive 8 MiB", "recv", Throughput, &[("size", MIB8), ("count", 80)]),
        test("send-128", "send 128 B", "send", Throughput, &[("count", 1_000_000)]),
        test("send-1k", "send 1 KiB", "send", Throughput, &[("size", 1024), ("count", 500_000)]),
        test("send-64k", "send 64 KiB", "send", Throughput, &[("size", 65536), ("count", 15_000)]),
        test("send-8m", "send 8 MiB", "send", Throughput, &[("size", MIB8), ("count", 80)]),
        over_tls(test(
            "recv-1k-tls",
            "receive 1 KiB over TLS",
            "recv",
            Throughput,
            &[("size", 1024), ("count", 400_000)],
        )),
        over_tls(test(
            "send-1k-tls",
            "send 1 KiB over TLS",
            "send",
            Throughput,
            &[("size", 1024), ("count", 400_000)],
        )),
        test(
            "game",
            "100 connections, 60 messages a second in and out on each, 32 B",
            "game",
            Latency,
            &[("size", 32), ("connections", 100), ("rate", 60), ("count", 9000), ("warm", 2000)],
        ),
        test("connect", "connect", "connect", Connect, &[("count", 500)]),
        over_tls(test("connect-tls", "connect over TLS", "connect", Connect, &[("count", 200)])),
        test("idle-1", "1 idle connection", "idle", Memory, &[("connections", 1)]),
        test("idle-1000", "1,000 idle connections", "idle", Memory, &[("connections", 1000)]),
        test("idle-10000", "10,000 idle connections", "idle", Memory, &[("connections", 10_000)]),
        over_tls(test("idle-1000-tls", "1,000 idle over TLS", "idle", Memory, &[("connections", 1000)])),
        test("heap-echo", "128 B there and back", "echo", Allocations, &[("count", 20_000)]),
        test("heap-recv-128", "receive 128 B", "recv", Allocations, &[("count", 400_000)]),
        test("heap-recv-64k", "receive 64 KiB", "recv", Allocations, &[("size", 65536), ("count", 4000)]),
        test("heap-send-128", "send 128 B", "send", Allocations, &[("count", 400_000)]),
        test("heap-send-64k", "send 64 KiB", "send", Allocations, &[("size", 65536), ("count", 4000)]),
        over_tls(test("heap-echo-tls", "128 B over TLS", "echo", Allocations, &[("count", 20_000)])),
    ]
}
