// An echo server by Node's ws, with compression; prints its port and exits at the end of its standard input.
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 256 << 20,
  perMessageDeflate: { threshold: 64 },
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
