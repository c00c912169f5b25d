#!/usr/bin/env python3
"""Throughput with permessage-deflate: Framewire, Node's ws and Boost.Beast against one server.

    benches/deflate/run.py [ROUNDS]

Builds everything under target/deflate, runs the clients one after another in each round, and prints the
medians relative to Framewire. Needs cargo, cc, c++ with Boost's headers (libboost-dev), node and npm.
"""

import json
import os
import random
import socket
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target" / "deflate"
WS = "ws@8.23.0"
MESSAGES = 64
# Message size in bytes, and the number of messages received and sent in one run.
SIZES = [(1024, 200_000, 40_000), (16384, 30_000, 6_000)]


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def build():
    OUT.mkdir(parents=True, exist_ok=True)
    run("cargo", "build", "--quiet", "--release", "--manifest-path", ROOT / "Cargo.toml", "-p", "framewire")
    library = ROOT / "target" / "release"
    run("cc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-I", ROOT / "include", HERE / "framewire.c", "-o",
        OUT / "framewire", "-L", library, "-lframewire", f"-Wl,-rpath,{library}")
    run("c++", "-O2", "-std=c++17", HERE / "beast.cpp", "-o", OUT / "beast", "-pthread")
    run("npm", "install", "--silent", "--prefer-offline", "--prefix", OUT, WS)
    return {
        "Framewire": [OUT / "framewire"],
        "Boost.Beast": [OUT / "beast"],
        "ws": ["node", HERE / "ws.mjs"],
    }


def messages(size):
    """Writes a file of different JSON messages as a game might send them; the same for each run."""
    chance = random.Random(size)
    path = OUT / f"messages-{size}.txt"
    lines = []
    for tick in range(MESSAGES):
        players, text = [], ""
        while len(text) < size - 64:
            players.append({
                "id": chance.randrange(1 << 20),
                "name": chance.choice(["anna", "bo", "chris", "dora", "emil", "fay"]) + str(chance.randrange(100)),
                "position": [round(chance.uniform(-500, 500), 2) for _ in range(3)],
                "health": chance.randrange(101),
                "action": chance.choice(["run", "jump", "idle", "shoot", "reload"]),
            })
            text = json.dumps({"type": "snapshot", "tick": 1000 + tick, "players": players})
        while len(text) > size:
            players.pop()
            text = json.dumps({"type": "snapshot", "tick": 1000 + tick, "players": players})
        # Pads with spaces, which JSON allows.
        lines.append(text[:-1].ljust(size - 1) + "}")
    path.write_text("\n".join(lines) + "\n")
    return path


def start_server(path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["node", HERE / "server.mjs", str(port), path], stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline().strip() == "listening"
    return server, port


def measure(command, port, mode, count, path):
    """Returns the time and CPU time in seconds, and the compressed size of sent messages in bytes."""
    url = f"ws://127.0.0.1:{port}/{mode}?count={count}"
    environment = dict(os.environ, WS_FROM=str(OUT / "ws.cjs"))
    command = [str(word) for word in [*command, url, mode, count, path]]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if ran.returncode != 0:
        raise SystemExit(f"{command}: {ran.returncode}\n{ran.stderr}")
    seconds, cpu = map(float, ran.stdout.split())
    return seconds, cpu, int(ran.stderr.split()[0]) if mode == "send" else 0


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    clients = build()
    print("| | " + " | ".join(f"{name}: time, CPU" for name in clients) + " | sent bytes per message |")
    print("| --- " * (len(clients) + 2) + "|")
    for size, to_receive, to_send in SIZES:
        path = messages(size)
        server, port = start_server(path)
        try:
            for mode, count in [("receive", to_receive), ("send", to_send)]:
                results = {name: [] for name in clients}
                for number in range(rounds):
                    names = list(clients)
                    # Rotates the order, so that no client always runs after the same other one.
                    for name in names[number % 3:] + names[:number % 3]:
                        results[name].append(measure(clients[name], port, mode, count, path))
                median = {name: [statistics.median(column) for column in zip(*runs)]
                          for name, runs in results.items()}
                own = median["Framewire"]
                ratios = [f"{one[0] / own[0]:.2f}, {one[1] / own[1]:.2f}" for one in median.values()]
                sizes = " / ".join(f"{one[2] / count:.0f}" for one in median.values()) if mode == "send" else ""
                print(f"| {mode} {size // 1024} KiB | " + " | ".join(ratios) + f" | {sizes} |", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
