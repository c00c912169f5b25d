// The browser's WebSocket for libframewire.a: link it with `emcc --js-library framewire.jslib`, or put it into
// Assets/Plugins/WebGL of a Unity project.
//
// Numbers have 32 bits, JavaScript never calls into the program, and only HEAPU8 and HEAPU32 are used, so that one
// file does for emscripten 2.0 to 6.0, with and without BigInt. The callbacks of a WebSocket queue records, which
// the library takes when the program polls. SPDX-License-Identifier: MIT OR Apache-2.0
mergeInto(LibraryManager.library, {
  $FRAMEWIRE: {
    OPEN: 1, TEXT: 2, BINARY: 3, CLOSED: 4, LOST: 5, TOO_LARGE: 6, QUEUE_FULL: 7,
    // By the number that the library gave: { ws, records, at, unread, isReady }.
    sockets: {},
    // The numbers of those with new records.
    ready: [],
    exception: '',

    // The bytes at an address. A view, if the browser accepts it: not of memory that may be resized or shared.
    bytes: function (pointer, length) {
      pointer = pointer >>> 0;
      length = length >>> 0;
      var isPlain = HEAPU8.buffer instanceof ArrayBuffer && !HEAPU8.buffer.resizable;
      return isPlain ? HEAPU8.subarray(pointer, pointer + length) : HEAPU8.slice(pointer, pointer + length);
    },

    text: function (pointer, length) {
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(FRAMEWIRE.bytes(pointer, length));
    },

    // Runs `act`. Returns 0, or 1 after an exception, whose text is kept.
    attempt: function (act) {
      try {
        act();
        return 0;
      } catch (exception) {
        FRAMEWIRE.exception = String((exception && exception.message) || exception);
        return 1;
      }
    },

    push: function (id, socket, kind, code, payload) {
      socket.records.push({ kind: kind, code: code, payload: payload });
      socket.unread += payload.length;
      if (!socket.isReady) {
        socket.isReady = true;
        FRAMEWIRE.ready.push(id);
      }
    },

    // Ends a WebSocket whose messages cannot be kept. Nothing follows this record.
    refuse: function (id, socket, kind, size) {
      FRAMEWIRE.release(socket);
      FRAMEWIRE.push(id, socket, kind, size, new Uint8Array(0));
    },

    receive: function (id, socket, limits, kind, payload) {
      if (payload.length > limits.messageBytes) {
        FRAMEWIRE.refuse(id, socket, FRAMEWIRE.TOO_LARGE, payload.length);
      } else if (socket.unread >= limits.queueBytes || socket.records.length - socket.at >= limits.queueRecords) {
        FRAMEWIRE.refuse(id, socket, FRAMEWIRE.QUEUE_FULL, 0);
      } else {
        FRAMEWIRE.push(id, socket, kind, 0, payload);
      }
    },

    // Closes a WebSocket, without a code if there is none, and ignores what it still says.
    release: function (socket, code) {
      var ws = socket.ws;
      socket.ws = null;
      if (ws) {
        ws.onopen = ws.onmessage = ws.onclose = ws.onerror = null;
        FRAMEWIRE.attempt(function () {
          if (code) {
            ws.close(code);
          } else {
            ws.close();
          }
        });
      }
    },

    drop: function (id) {
      var socket = FRAMEWIRE.sockets[id];
      if (socket) {
        delete FRAMEWIRE.sockets[id];
        FRAMEWIRE.release(socket, 1000);
      }
    },
  },

  // Returns 0, or 1 if the browser refuses. `limits` are three numbers: bytes of a message, bytes and number of
  // records that may wait.
  fwjs_open__deps: ['$FRAMEWIRE'],
  fwjs_open: function (id, url, urlLength, protocols, protocolsLength, limits) {
    FRAMEWIRE.drop(id);
    limits = limits >>> 2;
    limits = {
      messageBytes: HEAPU32[limits],
      queueBytes: HEAPU32[limits + 1],
      queueRecords: HEAPU32[limits + 2],
    };
    var socket = { ws: null, records: [], at: 0, unread: 0, isReady: false };
    return FRAMEWIRE.attempt(function () {
      var address = FRAMEWIRE.text(url, urlLength);
      var offered = FRAMEWIRE.text(protocols, protocolsLength);
      var ws = offered ? new WebSocket(address, offered.split(',')) : new WebSocket(address);
      ws.binaryType = 'arraybuffer';
      ws.onopen = function () {
        var negotiated = (ws.protocol || '') + '\n' + (ws.extensions || '');
        FRAMEWIRE.push(id, socket, FRAMEWIRE.OPEN, 0, new TextEncoder().encode(negotiated));
      };
      ws.onmessage = function (event) {
        var data = event.data;
        if (typeof data === 'string') {
          FRAMEWIRE.receive(id, socket, limits, FRAMEWIRE.TEXT, new TextEncoder().encode(data));
        } else {
          FRAMEWIRE.receive(id, socket, limits, FRAMEWIRE.BINARY, new Uint8Array(data));
        }
      };
      ws.onclose = function (event) {
        FRAMEWIRE.release(socket);
        var kind = event.wasClean ? FRAMEWIRE.CLOSED : FRAMEWIRE.LOST;
        FRAMEWIRE.push(id, socket, kind, event.code, new TextEncoder().encode(event.reason || ''));
      };
      // In browsers the close event follows. In Node 20 there is none if it could not connect.
      ws.onerror = function () {
        setTimeout(function () {
          if (ws.onclose) ws.onclose({ wasClean: false, code: 1006 });
        }, 0);
      };
      socket.ws = ws;
      FRAMEWIRE.sockets[id] = socket;
    });
  },

  // Writes microseconds, the lower 32 bits first: of the time since 1970, or of a clock that is never set back.
  fwjs_clock: function (isTimeOfDay, out) {
    var milliseconds = isTimeOfDay || typeof performance === 'undefined' ? Date.now() : performance.now();
    var microseconds = Math.floor(milliseconds * 1000);
    HEAPU32[out >>> 2] = microseconds >>> 0;
    HEAPU32[(out >>> 2) + 1] = Math.floor(microseconds / 4294967296);
  },

  // Copies the text of the last exception, as much as fits. Returns its length.
  fwjs_exception__deps: ['$FRAMEWIRE'],
  fwjs_exception: function (to, capacity) {
    var text = new TextEncoder().encode(FRAMEWIRE.exception).subarray(0, capacity >>> 0);
    HEAPU8.set(text, to >>> 0);
    return text.length;
  },

  fwjs_send__deps: ['$FRAMEWIRE'],
  fwjs_send: function (id, data, length, isText) {
    var socket = FRAMEWIRE.sockets[id];
    // Its close event is queued, or was.
    if (!socket || !socket.ws) return 0;
    return FRAMEWIRE.attempt(function () {
      socket.ws.send(isText ? FRAMEWIRE.text(data, length) : FRAMEWIRE.bytes(data, length));
    });
  },

  fwjs_close__deps: ['$FRAMEWIRE'],
  fwjs_close: function (id, code, reason, length) {
    var socket = FRAMEWIRE.sockets[id];
    if (!socket || !socket.ws) return 0;
    return FRAMEWIRE.attempt(function () { socket.ws.close(code, FRAMEWIRE.text(reason, length)); });
  },

  fwjs_drop__deps: ['$FRAMEWIRE'],
  fwjs_drop: function (id) { FRAMEWIRE.drop(id); },

  fwjs_buffered__deps: ['$FRAMEWIRE'],
  fwjs_buffered: function (id) {
    var socket = FRAMEWIRE.sockets[id];
    return socket && socket.ws ? Math.min(socket.ws.bufferedAmount, 0xFFFFFFFF) : 0;
  },

  // Returns the number of a WebSocket with new records, 0 if there is none.
  fwjs_ready__deps: ['$FRAMEWIRE'],
  fwjs_ready: function () {
    while (FRAMEWIRE.ready.length) {
      var id = FRAMEWIRE.ready.shift();
      var socket = FRAMEWIRE.sockets[id];
      if (socket) {
        socket.isReady = false;
        return id;
      }
    }
    return 0;
  },

  // Describes the oldest record in four numbers: kind, code, length, payload bytes of all records. Returns 0 if there
  // is none.
  fwjs_peek__deps: ['$FRAMEWIRE'],
  fwjs_peek: function (id, out) {
    var socket = FRAMEWIRE.sockets[id];
    var record = socket && socket.records[socket.at];
    if (!record) return 0;
    out = out >>> 2;
    HEAPU32[out] = record.kind;
    HEAPU32[out + 1] = record.code;
    HEAPU32[out + 2] = record.payload.length;
    HEAPU32[out + 3] = socket.unread;
    return 1;
  },

  // Copies the payload of the oldest record, and removes it.
  fwjs_take__deps: ['$FRAMEWIRE'],
  fwjs_take: function (id, to) {
    var socket = FRAMEWIRE.sockets[id];
    var payload = socket.records[socket.at].payload;
    HEAPU8.set(payload, to >>> 0);
    socket.unread -= payload.length;
    // Emptied at once, but moved only now and then.
    socket.records[socket.at++] = null;
    if (socket.at === socket.records.length || socket.at >= 1024) {
      socket.records.splice(0, socket.at);
      socket.at = 0;
    }
  },
});
