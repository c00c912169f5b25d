// The server for all clients: sends or receives compressed messages as fast as possible.
//
//     node server.mjs PORT MESSAGES-FILE
//
// /receive?count=N  sends N messages, repeating those of the file
// /send?count=N     receives N messages, then replies with one text: the size of their payloads in bytes
//
// Frames to send are compressed in advance, each independently, so that the server uses little CPU time
// during a measurement. Of the received messages only the first is decompressed, to verify that it is the
// first of the file.

import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {constants, deflateRawSync, inflateRawSync} from 'node:zlib';

const [port, file] = process.argv.slice(2);
const messages = readFileSync(file, 'utf8').trimEnd().split('\n');
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

function frame(firstByte, payload) {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = firstByte;
  head[1] = long ? 126 : payload.length;
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

function compressed(message) {
  const out = deflateRawSync(message, {level: 6, finishFlush: constants.Z_SYNC_FLUSH});
  return frame(0xc1, out.subarray(0, -TAIL.length));
}

const frames = messages.map(compressed);
// Repeats all messages many times in one write.
const ROUNDS = Math.max(1, Math.floor((1 << 18) / frames.reduce((sum, one) => sum + one.length, 0)));
const burst = Buffer.concat(Array(ROUNDS).fill(Buffer.concat(frames)));
const PER_BURST = ROUNDS * frames.length;

function flood(socket, count) {
  for (;;) {
    if (count < PER_BURST) {
      for (let n = 0; n < count; n++) socket.write(frames[n % frames.length]);
      return;
    }
    count -= PER_BURST;
    if (!socket.write(burst)) break;
  }
  socket.once('drain', () => flood(socket, count));
}

function checkFirst(masked, key) {
  const payload = masked.map((byte, index) => byte ^ key[index % 4]);
  const message = inflateRawSync(Buffer.concat([payload, TAIL]), {finishFlush: constants.Z_SYNC_FLUSH});
  if (message.toString() !== messages[0]) throw new Error('the first message is not the first of the file');
}

function sink(socket, count) {
  let [rest, bytes, taken] = [Buffer.alloc(0), 0, 0];
  return (data) => {
    rest = rest.length ? Buffer.concat([rest, data]) : data;
    let at = 0;
    while (rest.length - at >= 2) {
      let [length, head] = [rest[at + 1] & 0x7f, 2];
      if (length === 126) {
        if (rest.length - at < 4) break;
        [length, head] = [rest.readUInt16BE(at + 2), 4];
      } else if (length === 127) {
        throw new Error('the message is too large');
      }
      const end = at + head + 4 + length;
      if (end > rest.length) break;
      if (rest[at] === 0xc1) {
        const key = rest.subarray(at + head, at + head + 4);
        if (taken === 0) checkFirst(rest.subarray(at + head + 4, end), key);
        [taken, bytes] = [taken + 1, bytes + length];
        if (taken === count) socket.write(frame(0x81, Buffer.from(String(bytes))));
      } else if ((rest[at] & 15) === 8) {
        socket.end(frame(0x88, Buffer.alloc(0)));
      } else {
        throw new Error(`a frame that begins with ${rest[at]}: not compressed, or fragmented`);
      }
      at = end;
    }
    rest = rest.subarray(at);
  };
}

const server = createServer();
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = createHash('sha1').update(key).digest('base64');
  const {pathname, searchParams} = new URL(request.url, 'http://localhost');
  const count = Number(searchParams.get('count'));
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`);
  socket.on('data', sink(socket, count));
  if (pathname === '/receive') flood(socket, count);
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
