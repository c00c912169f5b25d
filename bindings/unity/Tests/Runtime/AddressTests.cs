using System;
using System.Text;
using Framewire.Native;
using NUnit.Framework;

namespace Framewire.Tests
{
    public sealed class AddressTests
    {
        [Test]
        public void InternationalizedHostsAreConvertedToPunycode()
        {
            AssertUrl("wss://xn--bcher-kva.example/", "wss://bücher.example/");
            AssertUrl("wss://xn--bcher-kva.example./a", "wss://bücher.example./a");
            AssertUrl("ws://xn--bcher-kva.example:81/%C3%BC?x=%C3%BC", "ws://bücher.example:81/ü?x=ü");
            AssertUrl("ws://u:p@xn--bcher-kva.example/", "ws://u:p@bücher.example");
            AssertUrl("ws://xn--r8jz45g.xn--zckzah/", "ws://例え。テスト/");
            AssertUrl("ws://xn--b_cher-3ya.example/", "ws://bü_cher.example/");
            AssertUrl("ws://a_b.example/%C3%BC", "ws://a_b.example/ü");
            AssertUrl("ws://xn--bcher-kva.example/", "ws://xn--bcher-kva.example/");
            new WebSocket(new Uri("wss://bücher.example/")).Dispose();
        }

        [Test]
        public void InternationalizedHostReachesTheProxyAsPunycode()
        {
            using (var proxy = new FixedResponseServer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"))
            using (var socket = new RecordingSocket(new Uri("ws://bücher.example/")))
            {
                socket.Socket.Proxy = "http://127.0.0.1:" + proxy.Uri.Port;
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.IsTrue(proxy.Head.StartsWith("CONNECT xn--bcher-kva.example:80 HTTP/1.1\r\n"), proxy.Head);
            }
        }

        [Test]
        public void HostWithoutPunycodeFormIsRejected()
        {
            // NFKC converts U+2100 to "a/c" and U+2488 to "1.", so "ws://aba/c.example/" would connect to
            // "aba". Without NFKC in the runtime, the result is a name that cannot be registered.
            foreach (string host in new[] { "ab\u2100.example", "\u2488com", "a\uff20b.example", "a\uff0fb.example" })
            {
                string url = null;
                try
                {
                    url = Address.Of(new Uri("ws://" + host + "/"));
                }
                catch (ArgumentException)
                {
                    // UriFormatException is not an ArgumentException.
                }
                catch (UriFormatException)
                {
                }
                Assert.IsTrue(url == null || url.StartsWith("ws://xn--"), url);
            }
            Uri tooLong = new Uri("ws://" + new string('ü', 63) + ".example/");
            Assert.Throws<ArgumentException>(() => new WebSocket(tooLong));
        }

        [Test]
        public void ZoneOfAnAddressIsKept()
        {
            AssertUrl("ws://[fe80::1%25lo]:9/", "ws://[fe80::1%25lo]:9/");
            AssertUrl("wss://u:p@[fe80::1%25wlan-0.1~x]/a?b", "wss://u:p@[FE80::1%25wlan-0.1~x]/a?b");
            AssertUrl("ws://[::1%25lo]/", "ws://[::1%25lo]:80");
            AssertUrl("ws://[fe80::1%251]/", "ws://[fe80::1%251]/");
            // The format of IPAddress.
            AssertUrl("ws://[fe80::1%25eth0]:9/", "ws://[fe80::1%eth0]:9/");
            AssertUrl("ws://[fe80::1%253]:9/", "ws://[fe80::1%3]:9/");
            AssertUrl("ws://[fe80::1%2525]:9/", "ws://[fe80::1%25]:9/");
            AssertUrl("ws://[::1]:9/", "ws://[::1]:9/");
            AssertUrl("ws://[fe80::1%25lo]:9/b", new Uri(new Uri("ws://[fe80::1%25lo]:9/a"), "b"));
        }

        [Test]
        public void ZoneSelectsTheInterface()
        {
            using (var socket = new RecordingSocket(new Uri("ws://[fe80::1%25no-such-if]:9/")))
            {
                string url = null;
                socket.Socket.Proxy = string.Empty;
                socket.Socket.OnInternalRequestCreated += (ws, request) => url = request.Uri.OriginalString;
                socket.Socket.Open();
                socket.WaitForEnd();
                Assert.AreEqual("error Resolve", socket.Log());
                string message = socket.Socket.LastError.Message;
                Assert.IsTrue(message.Contains("no-such-if"), message);
                Assert.IsTrue(url == null || url == "ws://[fe80::1%25no-such-if]:9/", url);
            }
            // A zone that is not applicable or not valid is rejected, not dropped.
            foreach (string host in new[] { "[::1%25lo]", "[2001:db8::1%eth0]", "[fe80::1%25a%20b]", "[fe80::1%]" })
            {
                Uri uri;
                if (Uri.TryCreate("ws://" + host + "/", UriKind.Absolute, out uri))
                {
                    Assert.Throws<ArgumentException>(() => new WebSocket(uri));
                }
            }
        }

        [Test]
        public void UserInfoIsKept()
        {
            AssertUrl("ws://user:p%C3%A4@xn--bcher-kva.example/", "ws://user:p%C3%A4@bücher.example/");
            AssertUrl("ws://%C3%BCser:p%C3%A4@host/", "ws://üser:pä@host/");
            AssertUrl("ws://a%2Fb:c%3Fd%23e@host/", "ws://a%2Fb:c%3Fd%23e@host/");
            // Mono decodes the colon if the URL needs other decoding: the password would become "b:pw".
            foreach (string user in new[] { "a%3Ab", "%61%3ab", "ü%3A" })
            {
                Assert.Throws<ArgumentException>(() => new WebSocket(new Uri("ws://" + user + ":pw@bücher.example/")));
            }
            var uri = new UriBuilder(Server.Plain("/headers")) { UserName = "user", Password = "p%3As%40" };
            string head = RequestTests.RequestSeenByServer(new WebSocket(uri.Uri));
            string basic = Convert.ToBase64String(Encoding.UTF8.GetBytes("user:p:s@"));
            Assert.IsTrue(RequestTests.HasLine(head, "Authorization: Basic " + basic), head);
            // A colon elsewhere does not belong to the user name.
            AssertUrl("ws://u@host/%3A@", "ws://u@host/%3A@");
            AssertUrl("ws://host/%3A@x", "ws://host/%3A@x");
        }

        [Test]
        public void OriginAndProxyAcceptInternationalizedHosts()
        {
            AssertText("https://xn--bcher-kva.example", "https://bücher.example");
            AssertText("http://u:p@xn--pr-gka.example:3128", "http://u:p@prö.example:3128");
            AssertText("socks5://xn--pr-gka.example/", "socks5://prö.example/");
            AssertText("http://u:pä@host:1", "http://u:pä@host:1");
            AssertText("bücher.example", "bücher.example");
            AssertText("://", "://");
            AssertText("ü://", "ü://");
            AssertText("ü://@:", "ü://@:");
            AssertText(string.Empty, string.Empty);

            var socket = new WebSocket(Server.Plain("/headers"));
            socket.Origin = "https://bücher.example";
            Assert.AreEqual("https://bücher.example", socket.Origin);
            string head = RequestTests.RequestSeenByServer(socket);
            Assert.IsTrue(RequestTests.HasLine(head, "Origin: https://xn--bcher-kva.example"), head);
            using (socket = new WebSocket(Server.Plain("/")))
            {
                socket.Proxy = "http://prö.example:3128";
                Assert.Throws<ArgumentException>(() => socket.Proxy = "http://u:pä@host:1");
                Assert.AreEqual("http://prö.example:3128", socket.Proxy);
                Assert.Throws<ArgumentException>(() => socket.Origin = "bücher.example");
            }
        }

        private static void AssertUrl(string expected, string uri)
        {
            AssertUrl(expected, new Uri(uri));
        }

        private static void AssertUrl(string expected, Uri uri)
        {
            Assert.AreEqual(expected, Address.Of(uri));
        }

        private static void AssertText(string expected, string text)
        {
            Assert.AreEqual(expected, Address.WithAsciiHost(text, "text"));
        }
    }
}
