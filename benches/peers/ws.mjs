// The ws package of Node. Implements the modes of ../c/bench.c in JavaScript.
//
//     node ws.mjs MODE URL [--size N] [--count N] ...      (as bench.h says)

import { readFileSync } from "node:fs";
import process from "node:process";
import WebSocket from "ws";

const [mode, base, ...rest] = process.argv.slice(2);
const options = { size: 128, count: 10000, connections: 1, rate: 60, ca: undefined };
for (let i = 0; i + 1 < rest.length; i += 2) {
  const name = rest[i].slice(2);
  options[name] = name === "ca" || name === "variant" ? rest[i + 1] : Number(rest[i + 1]);
}
let { size, count, connections, rate } = options;
let warm = options.warm ?? Math.floor(count / 10) + 1;
const paths = { echo: "/echo", recv: `/flood/${size}`, send: "/sink", game: `/push/${size}`, idle: "/idle", connect: "/idle" };
const settings = { perMessageDeflate: false, skipUTF8Validation: false, maxPayload: 0 };
if (options.ca) settings.ca = readFileSync(options.ca);

const payload = Buffer.alloc(size, "p");
const times = [];
const round = Math.max(2, Math.floor((512 << 10) / (size + 16)));
let measuring, measured, seen = 0, since = 0n, before;

const now = () => process.hrtime.bigint();
const stamp = () => ({ wall: now(), cpu: process.cpuUsage() });
const begin = () => (measuring = stamp());

function end() {
  const cpu = process.cpuUsage(measuring.cpu);
  measured = { wall: now() - measuring.wall, cpu: (cpu.user + cpu.system) * 1000 };
  report();
}

function report() {
  const after = process.memoryUsage();
  times.sort((a, b) => a - b);
  const part = (p) => times[Math.min(times.length - 1, Math.floor(times.length * p))] ?? 0;
  console.log(JSON.stringify({
    client: "ws", variant: "", mode, size, count, connections,
    wall_ns: Number(measured?.wall ?? 0n), cpu_ns: measured?.cpu ?? 0,
    p50_ns: part(0.5), p99_ns: part(0.99), p999_ns: part(0.999), max_ns: part(1),
    heap: before ? after.heapUsed + after.external - before.heapUsed - before.external : 0,
    rss: before ? after.rss - before.rss : 0,
    threads: Number(/Threads:\s*(\d+)/.exec(readFileSync("/proc/self/status"))[1]),
  }));
  process.exit(0);
}

function sendMany(socket, many) {
  for (let i = 0; i < many; i++) socket.send(payload);
}

const opened = {
  echo(socket) { socket.send(payload); },
  recv(socket) { socket.send(String(warm)); },
  send(socket) {
    warm = round * 2;
    count = Math.ceil(count / round) * round;
    socket.send(String(round));
    sendMany(socket, round * 2);
  },
  game(socket) { socket.send(String(rate)); },
};

const message = {
  echo(socket) {
    if (since && measuring) times.push(Number(now() - since));
    if (++seen === warm) begin();
    if (seen === warm + count) return end();
    since = now();
    socket.send(payload);
  },
  recv(socket, data) {
    if (data.length !== size) throw new Error(`${data.length} bytes`);
    if (++seen === warm) {
      begin();
      socket.send(String(count));
    } else if (seen === warm + count) end();
  },
  send(socket) {
    seen += round;
    if (seen === warm) {
      begin();
      sendMany(socket, Math.min(count, round * 2));
    } else if (seen > warm) {
      const allowed = seen - warm + round;
      if (seen === warm + count) end();
      else if (allowed < count) sendMany(socket, round);
    }
  },
  game(socket, data) {
    if (measuring) times.push(Number(now() - data.readBigUInt64LE(0)));
    socket.send(payload);
    if (++seen === warm) begin();
    if (seen === warm + count) end();
  },
};

const open = () => new Promise((resolve, reject) => {
  const socket = new WebSocket(base + paths[mode], settings);
  socket.once("error", reject);
  socket.once("open", () => {
    socket._socket.setNoDelay(true);
    resolve(socket);
  });
});

if (mode === "connect") {
  begin();
  for (let i = 0; i < count; i++) {
    const begun = now();
    const socket = await open();
    times.push(Number(now() - begun));
    socket.terminate();
  }
  end();
}
before = process.memoryUsage();
const sockets = [];
for (let i = 0; i < connections; i++) sockets.push(await open());
if (mode === "idle") report();
for (const socket of sockets) {
  socket.on("message", (data) => message[mode](socket, data));
  opened[mode](socket);
}
