// Node's ws.
//
//     node ws.mjs URL receive|send COUNT MESSAGES-FILE

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

// Installed in the output folder.
const {WebSocket} = createRequire(process.env.WS_FROM)('ws');
const [url, mode, number, file] = process.argv.slice(2);
const count = Number(number);
const messages = readFileSync(file, 'utf8').trimEnd().split('\n');
// Sends in progress at a time: enough to keep the connection busy, few enough to limit memory.
const IN_PROGRESS = 256;

const socket = new WebSocket(url, {perMessageDeflate: {threshold: 0, zlibDeflateOptions: {level: 6}}});
let wall, cpu;

function done() {
  const used = process.cpuUsage(cpu);
  const seconds = Number(process.hrtime.bigint() - wall) / 1e9;
  console.log(seconds.toFixed(6), ((used.user + used.system) / 1e6).toFixed(6));
  process.exit(0);
}

socket.on('open', () => {
  [wall, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  if (mode !== 'send') return;
  let sent = 0;
  const next = () => {
    if (sent < count) socket.send(messages[sent++ % messages.length], {compress: true}, next);
  };
  for (let n = 0; n < IN_PROGRESS; n++) next();
});

let received = 0;
socket.on('message', (data) => {
  if (mode === 'send') {
    console.error(`${data} bytes`);
    done();
  } else if (data.length !== messages[0].length || data[0] !== 0x7b) {
    process.exit(1);
  } else if (++received === count) {
    done();
  }
});
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
