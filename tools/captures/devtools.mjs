// Imports a HAR file into the network panel of Chromium's DevTools and checks that it has every message.
//
//   node --experimental-websocket devtools.mjs FILE.har [SCREENSHOT.png]

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TIMEOUT_MS = 60_000;
const SIZE = { width: 1100, height: 560, deviceScaleFactor: 1, mobile: false };

const [file, screenshot] = process.argv.slice(2);
const har = readFileSync(file, 'utf8');
const profile = mkdtempSync(join(tmpdir(), 'framewire-devtools-'));
const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
const browser = spawn('chromium', [...flags, `--user-data-dir=${profile}`], { stdio: ['ignore', 'ignore', 'pipe'] });
const limit = setTimeout(() => finish(new Error('Chromium took too long')), TIMEOUT_MS);

function finish(error) {
  clearTimeout(limit);
  if (error) console.error(error.message);
  // Its processes write to the profile until they end.
  browser.removeAllListeners('exit');
  browser.once('exit', () => {
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 300 });
    process.exit(error ? 1 : 0);
  });
  if (browser.exitCode !== null || !browser.kill()) browser.emit('exit');
}

// Chromium prints where it listens.
function debuggerUrl() {
  let text = '';
  return new Promise((resolve, reject) => {
    browser.on('error', reject);
    browser.on('exit', () => reject(new Error(`Chromium ended: ${text}`)));
    browser.stderr.on('data', (data) => {
      text += data;
      const found = /DevTools listening on (ws:\S+)/.exec(text);
      if (found) resolve(found[1]);
    });
  });
}

// The Chrome DevTools Protocol: calls with numbered results.
async function connect(url) {
  const socket = new WebSocket(url);
  const waiting = new Map();
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`${url} cannot be reached`));
  });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) call?.reject(new Error(message.error.message));
    else call?.resolve(message.result);
  };
  let number = 0;
  return (method, params, sessionId) =>
    new Promise((resolve, reject) => {
      number += 1;
      waiting.set(number, { resolve, reject });
      socket.send(JSON.stringify({ id: number, method, params, sessionId }));
    });
}

// These run in the page of DevTools.
async function importHar(text) {
  const [Network, Logs, UI] = await Promise.all([
    import('./panels/network/network.js'),
    import('./models/logs/logs.js'),
    import('./ui/legacy/legacy.js'),
  ]);
  await UI.ViewManager.ViewManager.instance().showView('network');
  const panel = Network.NetworkPanel.NetworkPanel.instance();
  await panel.networkLogView.onLoadFromFile(new File([text], 'capture.har'));
  return Logs.NetworkLog.NetworkLog.instance().requests().map((request) => ({
    url: request.url(),
    type: request.resourceType().name(),
    status: request.statusCode,
    messages: request.frames().map(({ type, time, opCode, text }) => ({ type, time, opcode: opCode, data: text })),
  }));
}

async function showMessages() {
  const [Network, Logs] = await Promise.all([
    import('./panels/network/network.js'),
    import('./models/logs/logs.js'),
  ]);
  const [request] = Logs.NetworkLog.NetworkLog.instance().requests();
  await Network.NetworkPanel.NetworkPanel.instance().selectAndActivateRequest(request, 'web-socket-frames');
  await new Promise((resolve) => setTimeout(resolve, 1000));
}

async function main() {
  const call = await connect(await debuggerUrl());
  const url = 'devtools://devtools/bundled/devtools_app.html';
  const { targetId } = await call('Target.createTarget', { url });
  const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
  const run = async (f, ...values) => {
    const expression = `(${f})(${values.map((value) => JSON.stringify(value)).join(', ')})`;
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await call('Runtime.evaluate', params, sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  await call('Emulation.setDeviceMetricsOverride', SIZE, sessionId);
  // The frontend has started when it has its toolbars.
  while (!(await run(() => document.body?.childElementCount > 0))) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const shown = await run(importHar, har);
  const expected = JSON.parse(har).log.entries.map((entry) => ({
    url: entry.request.url,
    type: entry._resourceType,
    status: entry.response.status,
    messages: entry._webSocketMessages,
  }));
  assert.deepEqual(shown, expected);
  if (screenshot) {
    await run(showMessages);
    const { data } = await call('Page.captureScreenshot', { format: 'png' }, sessionId);
    writeFileSync(screenshot, Buffer.from(data, 'base64'));
  }
  const count = shown.reduce((sum, { messages }) => sum + messages.length, 0);
  console.log(`DevTools shows what the file contains: connections: ${shown.length}, messages: ${count}`);
}

main().then(() => finish(), finish);
