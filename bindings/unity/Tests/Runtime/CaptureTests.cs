using System;
using System.IO;
using System.Text;
using NUnit.Framework;

namespace Framewire.Tests
{
    public class CaptureTests
    {
        private static string NewPath()
        {
            return Path.Combine(Path.GetTempPath(), "framewire-" + Guid.NewGuid() + ".pcapng");
        }

        /// <summary>The file when it contains the text, which may be while it is written.</summary>
        private static string ReadUntil(string path, string text)
        {
            string content = string.Empty;
            Pump.Until(() =>
            {
                if (File.Exists(path))
                {
                    using (var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
                    using (var reader = new StreamReader(file, Encoding.ASCII))
                    {
                        content = reader.ReadToEnd();
                    }
                }
                return content.Contains(text);
            });
            return content;
        }

        [Test]
        public void TrafficIsCapturedWithoutSecrets()
        {
            string path = NewPath();
            string received = null;
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.OnMessage += (ws, text) => received = text;
                socket.SetBearerAuth("s3cr3t");
                socket.SetCapture(path);
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                socket.Send("captured");
                Pump.Until(() => received == "captured");
                // What the server sends is not masked.
                string content = ReadUntil(path, "captured");
                Assert.IsTrue(content.Contains("Authorization: <redacted>"), content);
                Assert.IsFalse(content.Contains("s3cr3t"), content);
                socket.SetCapture(null);
                ReadUntil(path, "were not captured");
            }
            File.Delete(path);
        }

        [Test]
        public void AllSocketsAreCaptured()
        {
            string path = NewPath();
            WebSocket.SetCaptureOfAll(path, new CaptureOptions { MaxFileBytes = 1 << 20, IncludeSecrets = true });
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                socket.SetBearerAuth("s3cr3t");
                socket.Open();
                Pump.Until(() => socket.IsOpen);
                ReadUntil(path, "Authorization: Bearer s3cr3t");
            }
            WebSocket.SetCaptureOfAll(null);
            ReadUntil(path, "were not captured");
            File.Delete(path);
        }

        [Test]
        public void InvalidArgumentsAreRefused()
        {
            using (var socket = new WebSocket(Server.Plain("/")))
            {
                Assert.Throws<ArgumentException>(() => socket.SetCapture(string.Empty));
                Assert.Throws<ArgumentException>(() => socket.SetCapture("a\0b"));
                Assert.Throws<ArgumentOutOfRangeException>(
                    () => socket.SetCapture("x", new CaptureOptions { MaxFileBytes = -1 }));
            }
        }
    }
}
