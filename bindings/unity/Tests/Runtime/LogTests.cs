using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Framewire.Tests
{
    /// <summary>Tests the log, whose lines are taken inside DispatchAll.</summary>
    public sealed class LogTests
    {
        [Test]
        public void LinesAreDeliveredInsideDispatchAll()
        {
            WebSocketLogLevel before = WebSocket.LogLevel;
            var lines = new List<string>();
            bool isDispatching = false, wasOutside = false;
            WebSocket found = null;
            try
            {
                WebSocket.Log = (level, webSocket, context, message) =>
                {
                    lines.Add(level + " " + context + " " + message);
                    found = webSocket ?? found;
                    wasOutside |= !isDispatching;
                };
                WebSocket.LogLevel = WebSocketLogLevel.Info;
                using (var socket = new WebSocket(new Uri("ws://127.0.0.1:1/")))
                {
                    socket.Context.Add("match", "7");
                    bool failed = false;
                    socket.OnError += (ws, error) => failed = true;
                    socket.Open();
                    while (!failed)
                    {
                        WebSocket.Wait(100);
                        isDispatching = true;
                        WebSocket.DispatchAll();
                        isDispatching = false;
                    }
                    Assert.AreEqual(1, lines.Count);
                    Assert.IsTrue(lines[0].StartsWith("Info match=7 ", StringComparison.Ordinal), lines[0]);
                    Assert.IsTrue(ReferenceEquals(found, socket));
                    Assert.IsFalse(wasOutside);

                    WebSocket.LogLevel = WebSocketLogLevel.Off;
                    failed = false;
                    socket.Open();
                    Pump.Until(() => failed);
                    Assert.AreEqual(1, lines.Count);
                }
                Assert.Throws<ArgumentException>(() => WebSocket.LogLevel = (WebSocketLogLevel)77);
            }
            finally
            {
                WebSocket.Log = null;
                WebSocket.LogLevel = before;
            }
        }

        [Test]
        public void ExceptionOfTheHandlerIsReported()
        {
            WebSocketLogLevel before = WebSocket.LogLevel;
            Exception reported = null;
            try
            {
                WebSocket.UnhandledException = (ws, exception) => reported = exception;
                WebSocket.Log = (level, webSocket, context, message) =>
                {
                    throw new InvalidOperationException("from the log");
                };
                WebSocket.LogLevel = WebSocketLogLevel.Info;
                using (var socket = new RecordingSocket(new Uri("ws://127.0.0.1:1/")))
                {
                    socket.Socket.Open();
                    socket.WaitForEnd();
                }
                Assert.IsTrue(reported is InvalidOperationException);
            }
            finally
            {
                WebSocket.UnhandledException = null;
                WebSocket.Log = null;
                WebSocket.LogLevel = before;
            }
        }
    }
}
