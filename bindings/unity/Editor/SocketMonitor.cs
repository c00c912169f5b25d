using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Framewire.Editor
{
    /// <summary>
    /// The rows of the monitor window: the sockets that are open when it is created or are opened later, sampled at
    /// intervals. Has only weak references to sockets. Nothing is recorded while no monitor exists.
    /// </summary>
    internal sealed class SocketMonitor : IDisposable
    {
        /// <summary>How long the row of a socket stays after it was disposed or garbage-collected, in seconds.</summary>
        internal const double KeepSeconds = 30;

        private readonly List<MonitoredSocket> _opened = new List<MonitoredSocket>();
        private readonly List<MonitoredSocket> _rows = new List<MonitoredSocket>();
        private double _lastSample = double.NaN;

        internal SocketMonitor()
        {
            SocketTable.Opened += OnOpened;
            foreach (WebSocket socket in SocketTable.All)
            {
                if (socket != null)
                {
                    OnOpened(socket);
                }
            }
        }

        /// <summary>The sockets in the order in which they were opened first, as of the last sample.</summary>
        internal List<MonitoredSocket> Rows
        {
            get { return _rows; }
        }

        public void Dispose()
        {
            SocketTable.Opened -= OnOpened;
        }

        /// <summary>Reads the values of all sockets. Rates are those since the last sample.</summary>
        /// <param name="now">The time in seconds.</param>
        internal void Sample(double now)
        {
            AddOpened();
            double elapsed = now - _lastSample;
            foreach (MonitoredSocket row in _rows)
            {
                row.Sample(now, elapsed);
            }
            _rows.RemoveAll(row => row.IsReleased && now - row.ReleasedAt >= KeepSeconds);
            _lastSample = now;
        }

        /// <summary>Removes sockets without a connection. They are listed again when they are opened.</summary>
        internal void RemoveEnded()
        {
            _rows.RemoveAll(row => row.HasEnded);
        }

        // On the thread that calls Open.
        private void OnOpened(WebSocket socket)
        {
            var row = new MonitoredSocket(socket);
            lock (_opened)
            {
                _opened.Add(row);
            }
        }

        private void AddOpened()
        {
            lock (_opened)
            {
                foreach (MonitoredSocket row in _opened)
                {
                    // A socket may have been opened again.
                    if (!_rows.Exists(other => other.Id == row.Id))
                    {
                        _rows.Add(row);
                    }
                }
                _opened.Clear();
            }
        }
    }

    /// <summary>The values of a socket at the last sample.</summary>
    internal sealed class MonitoredSocket
    {
        /// <summary>The titles of the columns.</summary>
        internal static readonly string[] Titles =
        {
            "URL", "State", "Messages/s out | in", "Bytes/s out | in", "Send queue", "Latency", "Waiting per lane",
            "Last error",
        };

        /// <summary>Never used again for another socket.</summary>
        internal readonly ulong Id;

        private readonly WeakReference<WebSocket> _socket;
        private readonly List<WebSocketLaneStatistics> _lanes = new List<WebSocketLaneStatistics>();
        private WebSocketStatistics _last;
        private bool _hasLast;
        private WebSocketError _error;

        internal MonitoredSocket(WebSocket socket)
        {
            Id = socket.Native.id;
            _socket = new WeakReference<WebSocket>(socket);
            Url = UrlOf(socket) ?? string.Empty;
            LastError = string.Empty;
            LatencyMicroseconds = -1;
        }

        /// <summary>After redirects, without user name and password.</summary>
        internal string Url { get; private set; }

        internal WebSocketStates State { get; private set; }

        /// <summary>Whether the socket was disposed or garbage-collected.</summary>
        internal bool IsReleased { get; private set; }

        internal double ReleasedAt { get; private set; }

        internal double MessagesSentPerSecond { get; private set; }

        internal double MessagesReceivedPerSecond { get; private set; }

        internal double BytesSentPerSecond { get; private set; }

        internal double BytesReceivedPerSecond { get; private set; }

        internal int SendQueueBytes { get; private set; }

        /// <summary>-1 if not measured.</summary>
        internal long LatencyMicroseconds { get; private set; }

        internal List<WebSocketLaneStatistics> Lanes
        {
            get { return _lanes; }
        }

        /// <summary>The last error, or how the connection was closed. Kept when the socket is opened again.</summary>
        internal string LastError { get; private set; }

        internal bool HasEnded
        {
            get { return IsReleased || State == WebSocketStates.Closed; }
        }

        /// <summary>Reads the values.</summary>
        internal void Sample(double now, double elapsed)
        {
            WebSocket socket;
            WebSocketStatistics statistics = default(WebSocketStatistics);
            bool isAlive = _socket.TryGetTarget(out socket);
            if (isAlive)
            {
                ReadEnd(socket);
            }
            if (!isAlive || !socket.TryGetStatistics(out statistics))
            {
                Release(now);
                return;
            }
            Url = UrlOf(socket) ?? Url;
            State = socket.State;
            SendQueueBytes = socket.BufferedAmount;
            LatencyMicroseconds = socket.LatencyMicroseconds;
            ReadLanes(socket);
            if (_hasLast && elapsed > 0)
            {
                MessagesSentPerSecond = (statistics.MessagesSent - _last.MessagesSent) / elapsed;
                MessagesReceivedPerSecond = (statistics.MessagesReceived - _last.MessagesReceived) / elapsed;
                BytesSentPerSecond = (statistics.BytesSent - _last.BytesSent) / elapsed;
                BytesReceivedPerSecond = (statistics.BytesReceived - _last.BytesReceived) / elapsed;
            }
            _last = statistics;
            _hasLast = true;
        }

        /// <summary>Returns the text of each column.</summary>
        internal string[] Cells()
        {
            return new[]
            {
                Url,
                IsReleased ? "Disposed" : State.ToString(),
                Number(MessagesSentPerSecond) + " | " + Number(MessagesReceivedPerSecond),
                Bytes(BytesSentPerSecond) + " | " + Bytes(BytesReceivedPerSecond),
                Bytes(SendQueueBytes),
                LatencyMicroseconds < 0 ? "-" : Number(LatencyMicroseconds / 1000.0) + " ms",
                LanesText(),
                LastError,
            };
        }

        /// <summary>Formats a number of bytes.</summary>
        internal static string Bytes(double bytes)
        {
            string[] units = { " B", " KiB", " MiB", " GiB" };
            int unit = 0;
            while (bytes >= 1024 && unit < units.Length - 1)
            {
                bytes /= 1024;
                unit++;
            }
            return Number(bytes) + units[unit];
        }

        private static string Number(double value)
        {
            return value.ToString(value < 100 ? "0.#" : "0", CultureInfo.InvariantCulture);
        }

        private string LanesText()
        {
            var text = new StringBuilder();
            foreach (WebSocketLaneStatistics lane in _lanes)
            {
                text.Append(text.Length == 0 ? string.Empty : " | ");
                text.Append(lane.WaitingMessages);
                if (lane.WaitingMessages > 0)
                {
                    text.Append(" (" + Bytes(lane.WaitingBytes) + ")");
                }
            }
            return text.ToString();
        }

        private void ReadEnd(WebSocket socket)
        {
            WebSocketError error = socket.LastError;
            if (error != null)
            {
                if (error != _error)
                {
                    LastError = error.ToString();
                }
            }
            else if (socket.CloseCode != 0)
            {
                LastError = ("Closed: " + socket.CloseCode + " " + socket.CloseReason).TrimEnd();
            }
            _error = error;
        }

        private void ReadLanes(WebSocket socket)
        {
            _lanes.Clear();
            WebSocketLaneStatistics lane;
            for (int index = 0; index < socket.LaneCount && socket.TryGetLaneStatistics(index, out lane); index++)
            {
                _lanes.Add(lane);
            }
        }

        private void Release(double now)
        {
            if (IsReleased)
            {
                return;
            }
            IsReleased = true;
            ReleasedAt = now;
            MessagesSentPerSecond = MessagesReceivedPerSecond = 0;
            BytesSentPerSecond = BytesReceivedPerSecond = 0;
            SendQueueBytes = 0;
            LatencyMicroseconds = -1;
            _lanes.Clear();
        }

        /// <summary>Returns the URL, or null if the socket was disposed or destroyed.</summary>
        internal static string UrlOf(WebSocket socket)
        {
            try
            {
                return socket.FinalUri.AbsoluteUri;
            }
            catch (InvalidOperationException)
            {
                // Disposed by another thread, or destroyed by Shutdown.
                return null;
            }
        }
    }
}
