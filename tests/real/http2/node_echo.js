// An echo server by Node's http2 and ws: node_echo.js FOLDER PORT CLEAR-PORT
const fs = require("fs");
const http2 = require("http2");
const WebSocket = require("ws");

const [folder, port, clear] = process.argv.slice(2);
const settings = { enableConnectProtocol: true };
const options = { allowSynchronousEvents: true, autoPong: true, maxPayload: 256 << 20, skipUTF8Validation: false };

function echo(socket) {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", () => {});
}

function serve(stream, headers) {
  if (headers[":method"] !== "CONNECT" || headers[":protocol"] !== "websocket") {
    stream.respond({ ":status": 404 }, { endStream: true });
    return;
  }
  stream.respond({ ":status": 200 });
  // ws calls this method of its socket.
  stream.setNoDelay = () => {};
  const socket = new WebSocket(null, undefined, options);
  socket.setSocket(stream, Buffer.alloc(0), options);
  echo(socket);
}

const key = fs.readFileSync(folder + "/good.key");
const cert = fs.readFileSync(folder + "/good.pem");
const secure = http2.createSecureServer({ key, cert, allowHTTP1: true, settings });
const http1 = new WebSocket.WebSocketServer({ noServer: true, perMessageDeflate: true });
secure.on("stream", serve);
secure.on("upgrade", (request, socket, head) => http1.handleUpgrade(request, socket, head, echo));
secure.listen(+port, "127.0.0.1");
http2.createServer({ settings }).on("stream", serve).listen(+clear, "127.0.0.1");
